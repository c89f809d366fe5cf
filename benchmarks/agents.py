"""The agent of the benchmarks."""

from app.domain.model.events import Result
from app.ports.agent_runtime import RunContext, TaskInput


async def noop(task: TaskInput, context: RunContext) -> Result:  # noqa: ARG001
    """Return at once."""
    return Result(output="ok")
