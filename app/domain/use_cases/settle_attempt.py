"""Record what came of a run: its ending, another try, or a dead letter."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from pydantic_core import to_json

from app.domain.model.agents import Agent
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import PayloadTooLarge, Unavailable
from app.domain.model.events import (
    Result,
    TaskCanceled,
    TaskCompleted,
    TaskError,
    TaskFailed,
    TaskRetryScheduled,
)
from app.domain.model.ids import AgentName, TaskId
from app.domain.model.lifecycle import Reason
from app.domain.use_cases.run_attempt import Canceled, Failed, Outcome
from app.domain.use_cases.run_context import Run
from app.ports.agent_runtime import RunStopped, StopReason
from app.ports.clock import Clock
from app.ports.dead_letters import DeadLetters
from app.ports.delays import Delays
from app.ports.result_spool import ResultSpool
from app.ports.task_queue import Delivery

_SHOWN = 10_000
"""Characters that are told of a result which is too large."""
_ARTIFACTS_SHOWN = 10
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
    spool: ResultSpool | None = None
    """Keeps what is too large to be told; without one it is gone."""

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
        except PayloadTooLarge:
            await self._fail(delivery, run, await self._too_large(run, result))

    async def _too_large(self, run: Run, result: Result) -> Failed:
        """What a task fails with whose result no log takes: another run would make it again."""
        whole = result.model_dump_json().encode()
        fits = run.max_result_bytes
        said = f"the result is too large: {len(whole):,} bytes of JSON"
        if fits is not None and fits < len(whole):
            said += f", and {fits:,} fit"
        kept = await self.spool.keep(run.task_id, run.attempt, whole) if self.spool else None
        said += f"; all of it is kept by {run.worker_id} in {kept}" if kept else "; it is not kept"
        beginning = _beginning(result, min(_SHOWN, (fits or _SHOWN) // 20))
        return Failed(TaskError(code=PayloadTooLarge.code, message=said), beginning=beginning)

    async def _try_again_or_fail(
        self, delivery: Delivery, command: SubmitTask, agent: Agent, run: Run, failure: Failed
    ) -> float | None:
        failures = delivery.failures + 1
        chance = int.from_bytes(self.clock.entropy()[:2], "big") / 0xFFFF
        policy = agent.spec.retry
        wait = policy.wait(failure.error, failures, chance, failure.retry_after)
        # a deadline, say, is worth another run only where the agent's file names it
        named = policy.codes is not None and policy.repeats(failure.error)
        hopeless = failure.error.code == PayloadTooLarge.code  # what does not fit never will
        if wait is None or hopeless or (failure.reason is not None and not named):
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
        told = {"error": failure.error, "reason": reason, "usage": run.usage}
        try:
            await run.tell(TaskFailed, **told, result=failure.beginning)
            if failure.beginning is not None:
                await run.acknowledged()
        except PayloadTooLarge:
            await run.tell(TaskFailed, **told)


def _beginning(result: Result, characters: int) -> Result:
    """As much of a result as anybody can be shown: its output's text, and some of its artifacts."""
    output, artifacts = result.output, result.artifacts[:_ARTIFACTS_SHOWN]
    if output is not None and not isinstance(output, str):
        output = to_json(output).decode()
    return Result(
        output=output and output[:characters],
        artifacts=tuple(
            each.model_copy(update={"content": each.content[: characters // _ARTIFACTS_SHOWN]})
            for each in artifacts
        ),
    )


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
