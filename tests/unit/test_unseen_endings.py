"""What the views lack: read by one for all who ask, and never twice."""

import asyncio

import pytest

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.endings import MemoryEndings
from app.adapters.memory.event_log import MemoryEventLog
from app.domain.use_cases.unseen_endings import UnseenEndings
from app.ports.event_log import Ended, LogUnavailable, Offsets, Shard, StoredOffsets
from tests.builders import at, completed, failed, task_id
from tests.waiting import until


class Watched(MemoryEndings):
    """Notes from where it was read, and takes its time, or fails, when it is told to."""

    def __init__(self, log: MemoryEventLog) -> None:
        super().__init__(log)
        self.reads: list[Offsets] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.away = False

    async def behind(self, read: Offsets) -> Ended:
        self.reads.append(read)
        await self.may_go_on.wait()
        if self.away:
            raise LogUnavailable("not now")
        return await super().behind(read)


class Views(StoredOffsets):
    def __init__(self) -> None:
        self.stored: dict[Shard, int] = {}

    async def offsets(self) -> Offsets:
        return self.stored


class Case:
    def __init__(self) -> None:
        self.log, self.clock, self.views = MemoryEventLog(), MemoryClock(at(60)), Views()
        self.endings = Watched(self.log)
        self.unseen = UnseenEndings(self.views, self.endings, self.clock)

    async def attempt_of(self, name: str, until: float) -> int:
        return await self.unseen.attempt_of(task_id(name), at(until))


@pytest.fixture
def case() -> Case:
    return Case()


async def test_all_who_ask_at_once_share_one_reading(case: Case) -> None:
    await case.log.publish(completed("t-1"))
    asked = [case.attempt_of(name, 60) for name in ("t-1", "t-2", "t-1")]
    assert await asyncio.gather(*asked) == [1, 0, 1]
    assert len(case.endings.reads) == 1


async def test_it_is_read_again_for_whoever_must_know_of_later(case: Case) -> None:
    assert await case.attempt_of("t-1", 50) == 0
    await case.log.publish(completed("t-1"))
    assert await case.attempt_of("t-1", 60) == 0
    case.clock.advance(10)
    assert await case.attempt_of("t-1", 65) == 1
    assert len(case.endings.reads) == 2


async def test_a_reading_that_began_too_early_is_not_enough(case: Case) -> None:
    case.endings.may_go_on.clear()
    early = asyncio.create_task(case.attempt_of("t-1", 60))
    await until(lambda: len(case.endings.reads) == 1)
    case.clock.advance(10)
    late = asyncio.create_task(case.attempt_of("t-1", 70))
    case.endings.may_go_on.set()
    await asyncio.gather(early, late)
    assert len(case.endings.reads) == 2


async def test_nothing_is_read_twice_and_what_the_views_have_is_forgotten(case: Case) -> None:
    await case.log.publish(failed("t-1"))
    assert await case.attempt_of("t-1", 60) == 1
    case.clock.advance(10)
    assert await case.attempt_of("t-1", 70) == 1
    assert case.endings.reads == [{}, case.log.ends()]
    case.views.stored = dict(case.log.ends())
    case.clock.advance(10)
    assert await case.attempt_of("t-1", 80) == 0


async def test_views_that_are_made_anew_take_nothing_back(case: Case) -> None:
    await case.log.publish(completed("t-1"))
    assert await case.attempt_of("t-1", 60) == 1
    case.views.stored = {}
    case.clock.advance(10)
    assert await case.attempt_of("t-1", 70) == 1


async def test_a_failure_is_told_to_all_at_once_and_the_next_one_tries_again(case: Case) -> None:
    case.endings.away = True
    asked = [case.attempt_of(f"t-{number}", 60) for number in range(16)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, LogUnavailable) for each in told)
    assert len(case.endings.reads) == 1
    case.endings.away = False
    assert await case.attempt_of("t-1", 60) == 0


async def test_who_goes_away_while_it_is_read_leaves_it_to_the_others(case: Case) -> None:
    await case.log.publish(completed("t-1"))
    case.endings.may_go_on.clear()
    asked = [asyncio.create_task(case.attempt_of("t-1", 60)) for _ in range(2)]
    await until(lambda: len(case.endings.reads) == 1)
    asked[0].cancel()
    await asyncio.wait({asked[0]})
    case.endings.may_go_on.set()
    assert await asked[1] == 1
    assert len(case.endings.reads) == 1
