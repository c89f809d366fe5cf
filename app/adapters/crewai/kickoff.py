"""Runs one crew in a thread of its own, and stops it when told to.

The thread is a daemon's: a crew that will not stop, because somebody's own tool sleeps in it,
keeps neither a slot nor the process. The service's event loop never runs a line of CrewAI.
"""

import asyncio
import logging
from typing import Any

from crewai.crews.crew_output import CrewOutput
from pydantic import BaseModel, JsonValue

from app.adapters.crewai.crews import CrewPlan
from app.adapters.crewai.failures import NO_OUTPUT, CrewExited, run_failed
from app.adapters.crewai.journal import Journal
from app.adapters.crewai.outcome import CrewOutcome, StepOutput
from app.adapters.crewai.quiet import run_settings
from app.adapters.crewai.scope import RunScope
from app.domain.model.errors import RunFailed, Unavailable
from app.ports.agent_runtime import RunContext
from app.ports.own_thread import in_own_thread

_log = logging.getLogger(__name__)
_GRACE = 2.0
"""Seconds a crew has to unwind; its model's connection is closed at once."""


async def kick_off(plan: CrewPlan, context: RunContext) -> CrewOutcome:
    """Return what the crew put out.

    Raise `RunFailed`, `Unavailable`, or what the context raised.
    """
    loop = asyncio.get_running_loop()
    scope = RunScope(loop)
    journal = Journal(loop, context)
    telling: asyncio.Future[None] = asyncio.create_task(journal.tell())
    working = in_own_thread(f"crew-{plan.task.task_id}", lambda: _work(plan, scope, journal))
    error: str | None = "canceled"
    try:
        either: set[asyncio.Future[Any]] = {telling, working}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()
        error = None
        return working.result()
    except Exception as raised:
        error = str(raised) or type(raised).__name__
        raise
    finally:
        await _wind_up(scope, working, plan.name)
        journal.finish()
        await asyncio.wait({telling})
        await journal.close(error)


async def _wind_up(scope: RunScope, working: "asyncio.Future[CrewOutcome]", name: str) -> None:
    scope.stop()
    await asyncio.wait({working}, timeout=_GRACE)
    if working.done():
        working.exception()  # it has been told, or the run was canceled
    else:
        _log.warning("a crew does not stop; its thread is left behind", extra={"agent": name})


def _work(plan: CrewPlan, scope: RunScope, journal: Journal) -> CrewOutcome:
    try:
        with run_settings(scope, journal.sink):
            crew, inputs = plan.build(scope, journal)
            journal.steps = max(1, len(crew.tasks))
            output = crew.kickoff(inputs=inputs)
    except SystemExit as error:
        raise run_failed(CrewExited(str(error))) from error
    except Exception as error:  # noqa: BLE001 - a crew may raise anything
        cause = scope.failure or error
        if isinstance(cause, Unavailable):
            raise cause from None  # no verdict on the crew: it runs again when that is back
        failure = run_failed(cause)
        raise failure from (cause if cause is not failure else None)
    if not isinstance(output, CrewOutput):
        raise RunFailed("invalid", "a crew must not stream its output", retryable=False)
    if not output.raw.strip() or output.raw == NO_OUTPUT:
        raise RunFailed("model-empty-answer", "the crew put out nothing", retryable=True)
    return CrewOutcome(
        text=output.raw,
        data=_data(output),
        steps=tuple(
            StepOutput(each.name or f"task {number}", each.raw)
            for number, each in enumerate(output.tasks_output, 1)
        ),
    )


def _data(output: CrewOutput) -> JsonValue:
    if isinstance(output.pydantic, BaseModel):
        made: JsonValue = output.pydantic.model_dump(mode="json")
        return made
    return output.json_dict
