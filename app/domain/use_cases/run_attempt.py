"""One run of a task: the agent at work, until it is done, fails, is canceled or out of time."""

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from app.domain.model.agents import Agent
from app.domain.model.commands import SubmitTask
from app.domain.model.errors import PlatformError, RunFailed, Unavailable
from app.domain.model.events import Result, TaskError
from app.domain.model.lifecycle import Reason
from app.domain.model.readable import as_text, outcome_of, words
from app.domain.use_cases.run_context import Run
from app.ports.agent_runtime import AgentRuntime, StopReason, TaskInput

_LONGEST_WAIT = 7 * 24 * 60 * 60.0
"""Seconds between two runs, whatever a provider asks: as many as a retry policy may have."""
_GRACE = 10.0
"""Seconds after which work that was asked to stop and has not is said to be so."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The run ended without a result."""

    error: TaskError
    reason: Reason | None = None
    retry_after: float | None = None
    """Seconds a provider asked us to stay away."""
    beginning: Result | None = None
    """Of what it made all the same, and nobody can be told as a whole."""


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
    longest = agent.spec.timeout_seconds
    seconds = min(command.timeout_seconds or longest, longest)
    try:
        work = outcome_of(runtime.run(agent.spec, task, run))
        return await _within(seconds, run, work, cancel)
    except RunFailed as failure:
        return _of_run(failure)
    except Unavailable:
        raise  # something of ours is away: the delivery comes again
    except PlatformError as error:
        return failed(error.code, error.message)
    except Exception as error:  # noqa: BLE001  # an agent's bug ends its task, not the worker
        return failed("agent-error", words(error))
    finally:
        run.over = True


def failed(code: str, message: str, *, retryable: bool = False) -> Failed:
    return Failed(_error(code, message, retryable=retryable))


def _of_run(failure: RunFailed) -> Failed:
    code, retryable = failure.failure_code, failure.failure_retryable
    reason = Reason.BUDGET_EXCEEDED if code == Reason.BUDGET_EXCEEDED else None
    error = _error(code, failure.message, retryable=retryable)
    return Failed(error, reason, _wait(failure.retry_after))


def _error(code: object, message: object, *, retryable: object) -> TaskError:
    """People's code raises what it likes, also what the types forbid."""
    code = as_text(str(code or "agent-error")[:200])
    return TaskError(code=code, message=as_text(str(message)[:4_000]), retryable=bool(retryable))


def _wait(asked: float | None) -> float | None:
    """The seconds somebody asked us to wait, if they are seconds."""
    if not isinstance(asked, int | float) or math.isnan(asked):
        return None
    return min(asked, _LONGEST_WAIT)


async def _within(
    seconds: float, run: Run, work: Coroutine[Any, Any, Result], cancel: asyncio.Event
) -> Outcome:
    """Wait for an agent's work; whoever ends it early tells the agent first, then stops it."""
    working = asyncio.create_task(work, name=run.name)
    try:
        await asyncio.sleep(0)
        if not working.done():  # most quick work is: it is spared the waiting
            await _until_first(working, cancel, seconds)
        if working.done():
            if working.cancelled() and not run.canceled:
                raise RunFailed("agent-error", "it canceled itself", retryable=False)
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
