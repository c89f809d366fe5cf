"""One run of a task: the agent at work, until it is done, fails, is canceled or out of time."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from app.domain.model.agents import Agent
from app.domain.model.commands import SubmitTask
from app.domain.model.errors import PlatformError, RunFailed, Unavailable
from app.domain.model.events import Result, TaskError
from app.domain.model.lifecycle import Reason
from app.domain.use_cases.run_context import Run
from app.ports.agent_runtime import AgentRuntime, StopReason, TaskInput

_GRACE = 10.0
"""Seconds after which work that was asked to stop and has not is said to be so."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The run ended without a result."""

    error: TaskError
    reason: Reason | None = None
    retry_after: float | None = None
    """Seconds a provider asked us to stay away."""


@dataclass(frozen=True, slots=True)
class Canceled:
    """Somebody wanted it stopped, and it has stopped."""

    message: str | None = None


Outcome = Result | Failed | Canceled


async def run_attempt(
    runtime: AgentRuntime, agent: Agent, command: SubmitTask, run: Run, cancel: asyncio.Event
) -> Outcome:
    """Run the agent once; raise only what is no verdict on the task: `Unavailable`, a bug of ours.

    Whatever the outcome is, the work has stopped when this returns.
    """
    task = TaskInput(
        task_id=command.id,
        input=command.input,
        parameters=command.parameters,
        context_id=command.context_id,
        model=command.model,
    )
    seconds = command.timeout_seconds or agent.spec.timeout_seconds
    try:
        return await _within(seconds, run, runtime.run(agent.spec, task, run), cancel)
    except RunFailed as failure:
        return _of_run(failure)
    except Unavailable:
        raise  # something of ours is away: the delivery comes again
    except PlatformError as error:
        return failed(error.code, error.message)
    except Exception as error:  # noqa: BLE001  # an agent's bug ends its task, not the worker
        return failed("agent-error", f"{type(error).__name__}: {error}")


def failed(code: str, message: str, *, retryable: bool = False) -> Failed:
    return Failed(TaskError(code=code, message=message[:4_000], retryable=retryable))


def _of_run(failure: RunFailed) -> Failed:
    code, retryable = failure.failure_code, failure.failure_retryable
    error = TaskError(code=code, message=failure.message[:4_000], retryable=retryable)
    reason = Reason.BUDGET_EXCEEDED if code == Reason.BUDGET_EXCEEDED else None
    return Failed(error, reason, failure.retry_after)


async def _within(
    seconds: float, run: Run, work: Coroutine[Any, Any, Result], cancel: asyncio.Event
) -> Outcome:
    """Wait for an agent's work; whoever ends it early tells the agent first, then stops it."""
    working = asyncio.ensure_future(work)
    try:
        await asyncio.sleep(0)
        if not working.done():  # most quick work is: it is spared the waiting
            await _until_first(working, cancel, seconds)
        if working.done():
            return working.result()
        why = StopReason.CANCELED if cancel.is_set() else StopReason.DEADLINE_EXCEEDED
        await _stop(run, working, why)
        if working.done() and not working.cancelled() and not working.exception():
            return working.result()  # it was done while it was told to stop
        if cancel.is_set():
            return Canceled()
        code = Reason.DEADLINE_EXCEEDED
        error = TaskError(code=code, message=f"the run took longer than its {seconds:g} s")
        return Failed(error, code)
    finally:
        if not working.done():  # our own end: the delivery is lost, or the worker stops
            run.stopping = StopReason.DRAINING
            working.cancel()
            await asyncio.wait({working})


async def _until_first(
    working: "asyncio.Future[Result]", cancel: asyncio.Event, seconds: float
) -> None:
    canceling = asyncio.ensure_future(cancel.wait())
    try:
        first: set[asyncio.Future[Any]] = {working, canceling}
        await asyncio.wait(first, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        canceling.cancel()


async def _stop(run: Run, working: "asyncio.Future[Result]", why: StopReason) -> None:
    run.stopping = why
    working.cancel()
    await asyncio.wait({working}, timeout=_GRACE)
    if not working.done():
        await run.report(f"asked to stop, and has not stopped within {_GRACE:g} s")
        await asyncio.wait({working})
