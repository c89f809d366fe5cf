"""Tasks are refused while too many wait, and the refusal says for how long."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.adapters.local.catalog import compile_schema
from app.adapters.memory.clock import MemoryClock
from app.domain.model.agents import Agent
from app.domain.model.ids import AgentName
from app.domain.model.priorities import Priority
from app.domain.use_cases.admit_task import Admission, BacklogFull
from app.ports.backlogs import Backlogs, Depth
from app.ports.event_log import LogUnavailable
from tests.builders import ANALYST
from tests.gateway_under_test import ANALYST as SPEC

AGENT = Agent(SPEC, compile_schema({}))
PATIENT = replace(AGENT, spec=SPEC.model_copy(update={"max_backlog": 1_000}))


class Seen(Backlogs):
    """Backlogs as a test says they are."""

    def __init__(self) -> None:
        self.depth: Depth | None = Depth(0, 0)

    def topics(self) -> dict[str, int]:
        return {}

    async def look(self) -> Mapping[AgentName, Depth]:
        if self.depth is None:
            raise LogUnavailable("away")
        return {ANALYST: self.depth}


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock()


@pytest.fixture
def admission(seen: Seen, clock: MemoryClock) -> Admission:
    return Admission(seen, clock, limit=10)


async def test_no_more_are_let_in_than_may_wait_not_even_what_is_critical(
    admission: Admission, seen: Seen
) -> None:
    seen.depth = Depth(7, 0)
    await admission.look()
    for _ in range(3):
        admission.admit(AGENT, Priority.NORMAL)
    for priority in (Priority.HIGH, Priority.CRITICAL):
        with pytest.raises(BacklogFull, match="10 tasks wait for business-analyst, and 10 may"):
            admission.admit(AGENT, priority)
    assert admission.waiting(ANALYST) == 10


async def test_what_is_critical_is_let_in_where_it_shall_be(seen: Seen, clock: MemoryClock) -> None:
    admission = Admission(seen, clock, limit=10, critical_passes=True)
    seen.depth = Depth(10, 0)
    await admission.look()
    with pytest.raises(BacklogFull):
        admission.admit(AGENT, Priority.HIGH)
    admission.admit(AGENT, Priority.CRITICAL)
    assert admission.waiting(ANALYST) == 11


async def test_what_was_let_in_is_not_counted_again_once_it_is_seen(
    admission: Admission, seen: Seen
) -> None:
    await admission.look()
    admission.admit(AGENT, Priority.NORMAL)
    seen.depth = Depth(1, 0)
    await admission.look()
    assert admission.waiting(ANALYST) == 1


async def test_the_refusal_says_when_there_is_room_as_fast_as_work_went(
    admission: Admission, seen: Seen, clock: MemoryClock
) -> None:
    for done in (0, 10, 20):
        seen.depth = Depth(49, done)
        await admission.look()
        clock.advance(5)
    with pytest.raises(BacklogFull) as refused:
        admission.admit(AGENT, Priority.NORMAL)
    assert refused.value.retry_after == 20  # 40 too many, 2 a second


async def test_without_any_work_done_the_guess_is_ten_seconds_and_never_more_than_a_minute(
    admission: Admission, seen: Seen, clock: MemoryClock
) -> None:
    seen.depth = Depth(10, 0)
    await admission.look()
    with pytest.raises(BacklogFull) as refused:
        admission.admit(AGENT, Priority.NORMAL)
    assert refused.value.retry_after == 10
    clock.advance(1)
    seen.depth = Depth(100_000, 1)
    await admission.look()
    with pytest.raises(BacklogFull) as refused:
        admission.admit(AGENT, Priority.NORMAL)
    assert refused.value.retry_after == 60


async def test_an_agent_may_name_its_own_limit(admission: Admission, seen: Seen) -> None:
    seen.depth = Depth(999, 0)
    await admission.look()
    admission.admit(PATIENT, Priority.NORMAL)
    with pytest.raises(BacklogFull, match="1000 may"):
        admission.admit(PATIENT, Priority.NORMAL)


async def test_a_limit_of_0_lets_tasks_queue_without_end(seen: Seen, clock: MemoryClock) -> None:
    endless = Admission(seen, clock, limit=0)
    seen.depth = Depth(10**6, 0)
    await endless.look()
    endless.admit(AGENT, Priority.LOW)


async def test_while_nobody_can_tell_all_are_let_in(
    admission: Admission, seen: Seen, clock: MemoryClock
) -> None:
    admission.admit(AGENT, Priority.NORMAL)
    seen.depth = Depth(100, 0)
    await admission.look()
    clock.advance(11)
    seen.depth = None
    with pytest.raises(LogUnavailable):
        await admission.look()
    assert admission.waiting(ANALYST) is None
    admission.admit(AGENT, Priority.NORMAL)
