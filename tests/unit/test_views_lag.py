"""How far the views are behind: the port in memory, and what is made of it."""

import asyncio

import pytest

from app.adapters.memory.event_feed import MemoryEventFeed
from app.adapters.memory.event_log import MemoryEventLog, MemoryLogEnds
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.use_cases.shared_look import SharedLook
from app.domain.use_cases.views_lag import ViewsLag
from app.ports.event_log import LogEnds, LogUnavailable, Offsets, Shard
from app.ports.status_store import ViewUpdate
from tests.contracts.log_ends import LogEndsContract


class TestMemoryLogEnds(LogEndsContract):
    @pytest.fixture
    def log(self) -> MemoryEventLog:
        return MemoryEventLog()

    @pytest.fixture
    def feed(self, log: MemoryEventLog) -> MemoryEventFeed:
        return MemoryEventFeed(log)

    @pytest.fixture
    def log_ends(self, log: MemoryEventLog) -> MemoryLogEnds:
        return MemoryLogEnds(log)


class Ends(LogEnds):
    """A log that ends where it is told to."""

    def __init__(self, **ends: int) -> None:
        self.told = {Shard(name, 0): end for name, end in ends.items()}

    async def ends(self) -> Offsets:
        return dict(self.told)


async def test_a_log_that_began_anew_has_not_been_read() -> None:
    log, views = Ends(results=7), MemoryStatusStore()
    await views.save(ViewUpdate([], {}, [], before={}, after={Shard("results", 0): 7}))
    lag = ViewsLag(log, views)
    assert await lag.have_read(await lag.ends())
    log.told = {Shard("results", 0): 3}
    assert not await lag.have_read(await lag.ends())


async def test_what_was_read_since_is_not_taken_for_a_log_that_began_anew() -> None:
    log, views = Ends(results=3), MemoryStatusStore()
    lag = ViewsLag(log, views)
    ends = await lag.ends()
    log.told = {Shard("results", 0): 7}
    await views.save(ViewUpdate([], {}, [], before={}, after={Shard("results", 0): 7}))
    assert await lag.have_read(ends)


async def test_a_thousand_who_ask_at_once_cost_two_looks_and_nobody_hears_old_news() -> None:
    asked: list[int] = []
    go_on = asyncio.Event()

    async def ask() -> int:
        asked.append(len(asked))
        await go_on.wait()
        return asked[-1]

    look = SharedLook(ask)
    first = asyncio.create_task(look())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asked == [0]
    others = [asyncio.create_task(look()) for _ in range(1_000)]
    await asyncio.sleep(0)
    others[0].cancel()  # one who leaves takes nothing from the others
    go_on.set()
    assert await first == 0
    assert set(await asyncio.gather(*others[1:])) == {1}
    assert await look() == 2


async def test_a_look_that_fails_is_made_again_for_who_asks_later() -> None:
    log_is_away = True

    async def ask() -> str:
        if log_is_away:
            raise LogUnavailable("away")
        return "here"

    look = SharedLook(ask)
    for asking in [asyncio.create_task(look()) for _ in range(3)]:
        with pytest.raises(LogUnavailable):
            await asking
    log_is_away = False
    assert await look() == "here"
