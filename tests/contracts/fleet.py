"""What every fleet must do, where heartbeats are sent and heard; adapters' tests subclass this."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.ids import WorkerId
from app.ports.fleet import FleetFeed, Gone, Heard, Heartbeats
from tests.builders import heartbeat

OpenFeed = Callable[[], FleetFeed]


class FleetContract:
    @pytest.fixture
    def heartbeats(self) -> Heartbeats:
        raise NotImplementedError("the subclass provides where heartbeats are sent")

    @pytest.fixture
    def open_feed(self) -> OpenFeed:
        raise NotImplementedError("the subclass provides what hears them")

    async def test_who_comes_later_hears_the_last_word_of_each_worker(
        self, heartbeats: Heartbeats, open_feed: OpenFeed
    ) -> None:
        for number in (1, 2, 3):
            await heartbeats.send(heartbeat("a", number))
        await heartbeats.send(heartbeat("b"))
        heard = await until_heard(open_feed(), heartbeat("b"))
        last = {each.word.worker_id: each.word for each in heard}
        assert last == {"a": heartbeat("a", 3), "b": heartbeat("b")}

    async def test_a_word_that_was_there_before_is_not_live_and_one_that_comes_is(
        self, heartbeats: Heartbeats, open_feed: OpenFeed
    ) -> None:
        await heartbeats.send(heartbeat("a"))
        feed = open_feed()
        async with asyncio.timeout(30), aclosing(feed.heard()) as heard:  # type: ignore[type-var]
            first = await anext(heard)
            coming = asyncio.ensure_future(anext(heard))
            await asyncio.sleep(1)  # nothing says that a feed has seen the end
            await heartbeats.send(heartbeat("a", 2))
            assert (first.live, (await coming).live) == (False, True)

    async def test_every_listener_hears_everything_in_the_same_order(
        self, heartbeats: Heartbeats, open_feed: OpenFeed
    ) -> None:
        feeds = [open_feed(), open_feed()]
        last = heartbeat("a", 4)
        listening = [asyncio.create_task(until_heard(feed, last)) for feed in feeds]
        await asyncio.sleep(0)
        for number in (1, 2, 3):
            await heartbeats.send(heartbeat("a", number))
            await heartbeats.send(heartbeat("b", number))
        await heartbeats.send(last)
        first, second = await asyncio.gather(*listening)
        assert [each.word for each in first] == [each.word for each in second]

    async def test_all_that_a_heartbeat_says_is_heard(
        self, heartbeats: Heartbeats, open_feed: OpenFeed
    ) -> None:
        said = heartbeat("a", running=("t-1", "t-2"), finished=(7,), lag=12)
        await heartbeats.send(said)
        assert (await until_heard(open_feed(), said))[-1].word == said

    async def test_a_worker_that_is_withdrawn_is_gone(
        self, heartbeats: Heartbeats, open_feed: OpenFeed
    ) -> None:
        await heartbeats.send(heartbeat("a"))
        await heartbeats.withdraw(WorkerId("a"))
        await heartbeats.send(heartbeat("b"))
        heard = await until_heard(open_feed(), heartbeat("b"))
        assert remaining(heard) == {"b"}


def remaining(heard: list[Heard]) -> set[str]:
    """Whom there is a word of when all is heard."""
    known: set[str] = set()
    for each in heard:
        gone = isinstance(each.word, Gone)
        known = known - {each.word.worker_id} if gone else known | {each.word.worker_id}
    return known


async def until_heard(feed: FleetFeed, last: WorkerHeartbeat) -> list[Heard]:
    """Everything up to this word."""
    found: list[Heard] = []
    listening: AsyncIterator[Heard] = feed.heard()
    async with asyncio.timeout(30), aclosing(listening):  # type: ignore[type-var]
        async for each in listening:
            found.append(each)
            if each.word == last:
                return found
    return found
