"""Another run after a failure: when, where it waits, and when it is given up."""

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.memory.delays import MemoryDelays
from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.errors import PayloadTooLarge, RunFailed
from app.domain.model.events import (
    Result,
    TaskCanceled,
    TaskCompleted,
    TaskError,
    TaskFailed,
    TaskRetryScheduled,
    TaskStarted,
)
from app.domain.model.lifecycle import Reason
from app.domain.model.retries import RetryPolicy
from app.ports.agent_runtime import RunContext, RunStopped, TaskInput
from app.ports.task_queue import Again, Delivery
from tests.builders import at, canceling, submitted, task_id
from tests.unit.at_work import Hang, Worker, answer, delivered, worker

FLAKY = TaskError(code="model-rate-limited", message="slow down", retryable=True)


def failing(retry_after: float | None = None) -> Worker:
    async def fail(task: TaskInput, context: RunContext) -> Result:
        raise RunFailed(FLAKY.code, FLAKY.message, retryable=True, retry_after=retry_after)

    return worker(fail)


@given(
    failures=st.integers(1, 200),
    chance=st.floats(0, 1),
    asked=st.none() | st.floats(0, 10_000),
    policy=st.builds(
        RetryPolicy,
        attempts=st.integers(1, 100),
        backoff_seconds=st.floats(0.01, 100),
        ceiling_seconds=st.floats(0.01, 1_000),
        jitter=st.floats(0, 1),
    ),
)
def test_a_wait_is_bounded_by_the_ceiling_and_by_what_was_asked(
    failures: int, chance: float, asked: float | None, policy: RetryPolicy
) -> None:
    wait = policy.wait(FLAKY, failures, chance, asked)
    if failures >= policy.attempts:
        assert wait is None
    else:
        assert wait is not None
        longest = policy.ceiling_seconds * (1 + policy.jitter)
        assert (asked or 0) <= wait <= max(longest, asked or 0)


def test_waits_double_up_to_the_ceiling() -> None:
    policy = RetryPolicy(attempts=9, backoff_seconds=2, ceiling_seconds=10, jitter=0)
    assert [policy.wait(FLAKY, n, 0.5) for n in range(1, 6)] == [2, 4, 8, 10, 10]


@pytest.mark.parametrize(("codes", "again"), [(None, False), (frozenset({"agent-error"}), True)])
def test_a_policy_may_name_the_codes_worth_another_try(
    codes: frozenset[str] | None, again: bool
) -> None:
    error = TaskError(code="agent-error", message="a bug", retryable=False)
    assert (RetryPolicy(codes=codes).wait(error, 1, 0.5) is not None) == again


async def test_a_short_wait_keeps_the_task_with_its_worker() -> None:
    at_work = failing()
    with pytest.raises(Again) as again:
        await at_work.handle(delivered(submitted("t-1")))
    assert 0.8 <= again.value.seconds <= 1.2
    started, scheduled = at_work.events
    assert isinstance(started, TaskStarted)
    assert isinstance(scheduled, TaskRetryScheduled)
    assert scheduled.error == FLAKY


async def test_a_long_wait_is_left_to_the_delays_and_counts_on_there() -> None:
    at_work = failing(retry_after=120)
    await at_work.handle(delivered(submitted("t-1"), attempt=4, failures=1))
    (waiting,) = at_work.delays.waiting
    assert waiting.id == task_id("t-1")
    assert waiting.earlier == Earlier(4, 2, 0, key=b"k")
    assert isinstance(at_work.events[-1], TaskRetryScheduled)
    assert at_work.events[-1].not_before == at(60 + 120)


async def test_a_short_wait_is_left_to_the_delays_too_where_the_task_is_lost() -> None:
    at_work, lost = failing(retry_after=5), delivered(submitted("t-1"))
    lost.lost.set()
    await at_work.handle(lost)
    assert [each.id for each in at_work.delays.waiting] == [task_id("t-1")]
    assert isinstance(at_work.events[-1], TaskRetryScheduled)


async def test_what_comes_back_from_the_delays_runs() -> None:
    at_work = failing(retry_after=120)
    await at_work.handle(delivered(submitted("t-1")))
    at_work.runtime.work = answer
    await at_work.handle(delivered(at_work.delays.waiting[0], attempt=2))
    assert isinstance(at_work.events[-1], TaskCompleted)


async def test_the_last_failure_is_a_dead_letter_and_the_end_of_the_task() -> None:
    at_work = failing()
    await at_work.handle(delivered(submitted("t-1"), attempt=3, failures=2))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    assert (failed.error, failed.reason) == (FLAKY, Reason.DEAD_LETTERED)
    (letter,) = at_work.letters.letters
    assert letter.reason is DeadLetterReason.RETRIES_EXHAUSTED
    assert letter.attempts == 3


async def test_what_killed_its_worker_time_after_time_is_not_run_again() -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(submitted("t-1"), attempt=4, redelivered=True, interrupted=3))
    assert at_work.runtime.runs == 0
    assert [letter.reason for letter in at_work.letters.letters] == [DeadLetterReason.POISON]
    assert isinstance(at_work.events[-1], TaskFailed)


async def test_a_task_before_its_time_waits_with_the_delays_and_then_runs() -> None:
    at_work = worker(answer)
    early = submitted("t-1", not_before=at(90))
    await at_work.handle(delivered(early))
    assert at_work.events == []
    (waiting,) = at_work.delays.waiting
    assert waiting == early.model_copy(update={"earlier": Earlier(key=b"k")})
    at_work.clock.advance(40)
    await at_work.handle(delivered(waiting))
    assert isinstance(at_work.events[-1], TaskCompleted)


async def test_a_task_sent_back_a_moment_too_early_is_not_sent_to_and_fro() -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(submitted("t-1", not_before=at(60.01))))
    assert at_work.delays.until_due() == 0.5


class Full(MemoryDelays):
    async def put(self, command: SubmitTask, not_before: datetime) -> None:
        raise PayloadTooLarge("the message is larger than the broker takes")


async def test_what_the_delays_have_no_room_for_is_held_however_long() -> None:
    at_work = failing(retry_after=120)
    at_work.handle = replace(at_work.handle, delays=Full(at_work.clock.now))
    with pytest.raises(Again) as again:
        await at_work.handle(delivered(submitted("t-1")))
    assert again.value.seconds == 120
    assert isinstance(at_work.events[-1], TaskRetryScheduled)


async def test_a_task_before_its_time_that_the_delays_have_no_room_for_is_held_too() -> None:
    at_work = worker(answer)
    at_work.handle = replace(at_work.handle, delays=Full(at_work.clock.now))
    with pytest.raises(Again) as again:
        await at_work.handle(delivered(submitted("t-1", not_before=at(90))))
    assert (again.value.seconds, again.value.counted) == (30, False)
    assert at_work.events == []
    assert again.value.sooner is not None
    at_work.handle.cancellations.note(canceling("t-1"))
    assert again.value.sooner.is_set()


async def test_a_run_that_lost_its_task_neither_buries_nor_delays_it() -> None:
    for failures, retry_after in ((2, None), (0, 120.0)):
        at_work = failing(retry_after)
        lost = delivered(submitted("t-1"), failures=failures)

        async def fail(task: TaskInput, context: RunContext, lost: Delivery = lost) -> Result:
            lost.over = lambda: True
            raise RunFailed(FLAKY.code, FLAKY.message, retryable=True, retry_after=120)

        at_work.runtime.work = fail
        with pytest.raises(RunStopped):
            await at_work.handle(lost)
        assert at_work.letters.letters == []
        assert at_work.delays.waiting == []


async def test_how_long_a_worker_holds_a_task_and_when_it_gives_one_up_are_settings() -> None:
    patient = failing(retry_after=120)
    patient.handle = replace(patient.handle, hold_seconds=300)
    with pytest.raises(Again):
        await patient.handle(delivered(submitted("t-1")))
    wary = worker(answer)
    wary.handle = replace(wary.handle, poison_after=1)
    await wary.handle(delivered(submitted("t-1"), attempt=2, redelivered=True, interrupted=1))
    assert wary.runtime.runs == 0


async def test_a_task_canceled_before_its_start_never_starts() -> None:
    at_work = worker(answer)
    at_work.handle.cancellations.note(canceling("t-1", "changed my mind"))
    await at_work.handle(delivered(submitted("t-1")))
    assert at_work.runtime.runs == 0
    (canceled,) = at_work.events
    assert isinstance(canceled, TaskCanceled)
    assert canceled.message == "changed my mind"


async def test_a_running_task_is_canceled_when_its_work_has_stopped() -> None:
    hang = Hang()
    at_work = worker(hang)
    handling = asyncio.ensure_future(at_work.handle(delivered(submitted("t-1"))))
    await asyncio.wait_for(hang.begun.wait(), 5)
    at_work.handle.cancellations.note(canceling("t-1"))
    await asyncio.wait_for(handling, 5)
    assert hang.stopped.is_set()
    assert isinstance(at_work.events[-1], TaskCanceled)


async def test_a_cancel_cuts_the_wait_for_the_next_run_short() -> None:
    at_work = failing()
    with pytest.raises(Again) as again:
        await at_work.handle(delivered(submitted("t-1")))
    assert again.value.sooner is not None
    at_work.handle.cancellations.note(canceling("t-1"))
    assert again.value.sooner.is_set()


async def test_a_redriven_task_is_not_stopped_by_a_cancel_of_its_former_life() -> None:
    at_work = worker(answer)
    at_work.handle.cancellations.note(canceling("t-1", after=-5))
    again = submitted("t-1").model_copy(update={"earlier": Earlier(3, 0, 1, at(0))})
    await at_work.handle(delivered(again, attempt=4))
    assert isinstance(at_work.events[-1], TaskCompleted)
    at_work.handle.cancellations.note(canceling("t-1", after=5))
    further = submitted("t-1").model_copy(update={"earlier": Earlier(4, 0, 2, at(0))})
    await at_work.handle(delivered(further, attempt=5))
    assert isinstance(at_work.events[-1], TaskCanceled)


async def test_a_cancel_of_a_redriven_task_that_waits_counts_when_it_is_released() -> None:
    at_work = failing(retry_after=120)
    again = submitted("t-1").model_copy(update={"earlier": Earlier(3, 0, 1, at(0))})
    await at_work.handle(delivered(again, attempt=4))
    (waiting,) = at_work.delays.waiting
    at_work.handle.cancellations.note(canceling("t-1", after=5))
    released = delivered(waiting, attempt=5)
    released.origin = replace(released.origin, timestamp=at(600))
    await at_work.handle(released)
    assert isinstance(at_work.events[-1], TaskCanceled)


async def test_a_task_that_was_started_in_time_does_not_expire_between_its_runs() -> None:
    at_work = failing()
    late = submitted("t-1", expires_at=at(61))
    with pytest.raises(Again):
        await at_work.handle(delivered(late))
    at_work.runtime.work = answer
    at_work.clock.advance(30)
    await at_work.handle(delivered(late, attempt=2, failures=1))
    assert isinstance(at_work.events[-1], TaskCompleted)


@pytest.mark.parametrize("codes", [None, ["try-later"], ["agent-error", "try-later"]])
async def test_a_last_failure_that_the_policy_names_leaves_a_letter(
    codes: list[str] | None,
) -> None:
    async def fail(task: TaskInput, context: RunContext) -> Result:
        raise RunFailed("try-later", "not yet", retryable=codes is None)

    at_work = worker(fail, retry=RetryPolicy(attempts=2, codes=codes and frozenset(codes)))
    with pytest.raises(Again):
        await at_work.handle(delivered(submitted("t-1")))
    await at_work.handle(delivered(submitted("t-1"), 2, failures=1))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    assert failed.reason is Reason.DEAD_LETTERED
    (letter,) = at_work.letters.letters
    assert (letter.reason, letter.detail) == (DeadLetterReason.RETRIES_EXHAUSTED, "not yet")


async def test_a_deadline_is_worth_another_run_where_the_policy_names_it() -> None:
    retry = RetryPolicy(attempts=2, codes=frozenset({"deadline-exceeded"}))
    at_work = worker(Hang(), retry=retry)
    with pytest.raises(Again):
        await at_work.handle(delivered(submitted("t-1", timeout_seconds=0.02)))
    await at_work.handle(delivered(submitted("t-1", timeout_seconds=0.02), 2, failures=1))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    assert failed.reason is Reason.DEADLINE_EXCEEDED
    assert [each.reason for each in at_work.letters.letters] == [DeadLetterReason.DEADLINE_EXCEEDED]
