"""Agents that the hostile load asks for."""

from app.domain.model.events import Result
from app.ports.agent_runtime import RunContext, TaskInput


async def answer_much(task: TaskInput, context: RunContext) -> Result:
    """Answer with as many characters as `parameters` say, in many events."""
    for _ in range(20):
        await context.log("x" * 10_000)
    return Result(output="x" * int(str(task.parameters.get("characters", 0))))


async def break_with_much_text(task: TaskInput, context: RunContext) -> Result:
    """Fail with a text that a careless search for secrets takes long to read."""
    raise ValueError("a." * 25_000)
