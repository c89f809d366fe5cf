"""The agents of the benchmarks."""

import asyncio

from app.domain.model.events import Result
from app.ports.agent_runtime import RunContext, TaskInput
from benchmarks.ledger import note


async def noop(task: TaskInput, context: RunContext) -> Result:  # noqa: ARG001
    """Return at once."""
    return Result(output="ok")


async def sleep(task: TaskInput, context: RunContext) -> Result:  # noqa: ARG001
    """Sleep for the seconds in `parameters`, and note when under the key in them."""
    key = str(task.parameters["key"])
    note("began", key)
    await asyncio.sleep(float(str(task.parameters["seconds"])))
    note("ended", key)
    return Result(output="ok")
