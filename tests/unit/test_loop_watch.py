"""Who holds up an event loop is known while it does and remembered when it is over."""

import asyncio
import logging
import time

import pytest

from app.adapters.local.clock import monotonic
from app.adapters.local.loop_watch import LoopWatch, watching_loop
from app.domain.model.ids import AgentName
from app.ports.agent_runtime import NamedRun, read_run_name
from tests.builders import task_id
from tests.waiting import until

RUN = NamedRun(AgentName("greeter"), task_id("t-1"))


class Counted:
    def __init__(self) -> None:
        self.blocked: list[tuple[str, float]] = []

    def note(self, agent: str, seconds: float) -> None:
        self.blocked.append((agent, seconds))


async def hold_up(seconds: float, step: float) -> None:
    for _ in range(round(seconds / step)):
        time.sleep(step)  # noqa: ASYNC251  # that is what it is for
        await asyncio.sleep(0)


async def blocked_by(name: str | None, watch: LoopWatch) -> float:
    """Have an asyncio task of this name hold up the loop; since when it did."""
    await asyncio.sleep(0.5)  # for the loop to have had its turns before
    since = monotonic()
    await asyncio.create_task(hold_up(3, 3), name=name)
    return since


async def test_a_run_that_holds_up_the_loop_is_named_where_it_does_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = Counted()
    with caplog.at_level(logging.WARNING), watching_loop(counted.note) as watch:
        since = await blocked_by(RUN.name, watch)
        assert watch.culprit(since) == RUN.task_id
        await until(lambda: bool(counted.blocked))
    ((agent, seconds),) = counted.blocked
    assert agent == "greeter"
    assert seconds >= 2.5
    blocked, over = caplog.records
    assert (blocked.agent, blocked.task_id) == RUN  # type: ignore[attr-defined]
    assert "test_loop_watch.py" in blocked.at  # type: ignore[attr-defined]
    assert "runs again" in over.message


async def test_who_is_no_run_is_not_taken_for_one() -> None:
    counted = Counted()
    with watching_loop(counted.note) as watch:
        since = await blocked_by(None, watch)
        assert watch.culprit(since) is None
        await until(lambda: bool(counted.blocked))
    assert counted.blocked[0][0] == ""


async def test_one_that_lets_others_have_their_turns_holds_up_nobody() -> None:
    counted = Counted()
    with watching_loop(counted.note) as watch:
        since = monotonic()
        await asyncio.create_task(hold_up(2, 0.05), name=RUN.name)
        assert watch.culprit(since) is None
    assert counted.blocked == []


@pytest.mark.parametrize("name", ["Task-7", "run t-1", "poll", "run a of b of c"])
def test_other_names_are_no_runs(name: str) -> None:
    assert read_run_name(name) is None
    assert read_run_name(RUN.name) == RUN
