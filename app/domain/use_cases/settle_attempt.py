"""Record what came of a run: its ending, another try, or a dead letter."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from app.domain.model.agents import Agent
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import PayloadTooLarge, Unavailable
from app.domain.model.events import (
    Result,
    TaskCanceled,
    TaskCompleted,
    TaskFailed,
    TaskRetryScheduled,
)
from app.domain.model.ids import AgentName, TaskId
from app.domain.model.lifecycle import Reason
from app.domain.use_cases.run_attempt import Canceled, Failed, Outcome, failed
from app.domain.use_cases.run_context import Run
from app.ports.agent_runtime import RunStopped, StopReason
from app.ports.clock import Clock
from app.ports.dead_letters import DeadLetters
from app.ports.delays import Delays
from app.ports.task_queue import Delivery

_LETTERS = {
    Reason.DEADLINE_EXCEEDED: DeadLetterReason.DEADLINE_EXCEEDED,
    Reason.BUDGET_EXCEEDED: DeadLetterReason.BUDGET_EXCEEDED,
}


@dataclass(frozen=True, slots=True)
class SettleAttempt:
    dead_letters: DeadLetters
    delays: Delays
    clock: Clock
    hold_seconds: float
    """A worker keeps a task that waits for its next run no longer; the delays do."""

    async def __call__(
        self, delivery: Delivery, command: SubmitTask, agent: Agent, run: Run, outcome: Outcome
    ) -> float | None:
        """Return once the outcome is durable: the seconds to the next run where one is to be held.

        None means that this delivery is done.
        """
        match outcome:
            case Result():
                await self._complete(delivery, run, outcome)
            case Canceled():
                await run.tell(TaskCanceled, message=outcome.message, usage=run.usage)
            case Failed():
                return await self._try_again_or_fail(delivery, command, agent, run, outcome)
            case _:
                assert_never(outcome)
        return None

    async def bury(
        self, delivery: Delivery, reason: DeadLetterReason, detail: str, task_id: TaskId | None
    ) -> None:
        """Set the delivery's message aside with a reason; raise `RunStopped` as `tell` does."""
        _refuse_if_over(delivery)
        agent, earlier = delivery.content.agent, delivery.content.earlier
        letter = DeadLetter(
            origin=delivery.origin,
            reason=reason,
            detail=detail,
            task_id=task_id,
            at=self.clock.now(),
            agent=AgentName(agent) if agent else None,
            attempts=delivery.attempt,
            redrives=earlier.redrives,
        )
        await self.dead_letters.put(letter)

    async def _complete(self, delivery: Delivery, run: Run, result: Result) -> None:
        try:
            await run.tell(TaskCompleted, result=result, usage=run.usage)
            await run.acknowledged()  # only then it is certain that the log takes it
        except PayloadTooLarge as error:
            too_large = failed(error.code, f"the result is too large: {error.message}")
            await self._fail(delivery, run, too_large)

    async def _try_again_or_fail(
        self, delivery: Delivery, command: SubmitTask, agent: Agent, run: Run, failure: Failed
    ) -> float | None:
        failures = delivery.failures + 1
        chance = int.from_bytes(self.clock.entropy()[:2], "big") / 0xFFFF
        policy = agent.spec.retry
        wait = policy.wait(failure.error, failures, chance, failure.retry_after)
        if failure.reason is not None or wait is None:
            given_up = failure.error.retryable or policy.repeats(failure.error)
            await self._fail(delivery, run, failure, retries_exhausted=given_up)
            return None
        not_before = self.clock.now() + timedelta(seconds=wait)
        # what was lost has an owner who would run it at once: he hears that we are done with it
        short = wait <= self.hold_seconds and not delivery.lost.is_set()
        held = short or not await self._left_to_delays(delivery, command, failures, not_before)
        await run.tell(
            TaskRetryScheduled, error=failure.error, not_before=not_before, usage=run.usage
        )
        return wait if held else None

    async def _left_to_delays(
        self, delivery: Delivery, command: SubmitTask, failures: int, not_before: datetime
    ) -> bool:
        """Whether the delays have it now: they have no room to note the time beside the largest."""
        _refuse_if_over(delivery)
        earlier = command.earlier._replace(
            attempts=delivery.attempt, failures=failures, key=delivery.origin.key
        )
        try:
            delayed = command.model_copy(update={"earlier": earlier})
            await _until_taken(partial(self.delays.put, delayed, not_before))
        except PayloadTooLarge:
            return False
        return True

    async def _fail(
        self, delivery: Delivery, run: Run, failure: Failed, *, retries_exhausted: bool = False
    ) -> None:
        reason, letter = failure.reason, None
        if reason is not None:
            letter = _LETTERS.get(reason)
        elif retries_exhausted:
            reason, letter = Reason.DEAD_LETTERED, DeadLetterReason.RETRIES_EXHAUSTED
        if letter:
            bury = partial(self.bury, delivery, letter, failure.error.message, run.task_id)
            await _until_taken(bury)
        await run.tell(TaskFailed, error=failure.error, reason=reason, usage=run.usage)


async def _until_taken(put: Callable[[], Awaitable[None]]) -> None:
    """Say what came of a run however long that takes: another run would spend its money again.

    What has to end sooner is cancelled.
    """
    while True:
        try:
            return await put()
        except Unavailable as away:
            await asyncio.sleep(away.retry_after)


def _refuse_if_over(delivery: Delivery) -> None:
    """Where another worker may run the task by now, this one has nothing to say of it."""
    if delivery.over():
        raise RunStopped(StopReason.LOST)
