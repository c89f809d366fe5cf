"""One process settles a letter once at a time, and knows what it cannot know."""

import asyncio

import pytest

from app.adapters.memory.event_log import MemoryEventLog, MemoryLogEnds
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.errors import UnknownDeadLetter
from app.domain.model.ids import LetterId
from app.domain.use_cases import read_letters
from app.domain.use_cases.read_letters import ReadLetters, RecentSettlements
from app.domain.use_cases.views_lag import ViewsBehind, ViewsLag
from tests.builders import submitted


async def test_nobody_settles_a_letter_beside_another() -> None:
    recent, letter_id = RecentSettlements(), LetterId("letter")
    inside: set[int] = set()

    async def settle(number: int) -> None:
        async with recent.alone(letter_id):
            inside.add(number)
            assert inside == {number}
            for _ in range(5):
                await asyncio.sleep(0)
            inside.remove(number)

    async with asyncio.TaskGroup() as group:
        for number in range(12):  # some come while others wait, some when one has just left
            group.create_task(settle(number))
            await asyncio.sleep(0)


async def test_where_the_views_lag_a_dead_letter_may_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(read_letters, "PATIENCE", 0.05)
    store, log = MemoryStatusStore(), MemoryEventLog()
    letters = ReadLetters(store.letters, store, lag=ViewsLag(MemoryLogEnds(log), store))
    with pytest.raises(UnknownDeadLetter):
        await letters.find(LetterId("nobody"))
    await log.publish(submitted())
    with pytest.raises(ViewsBehind):
        await letters.find(LetterId("nobody"))
