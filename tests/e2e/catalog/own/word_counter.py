"""Somebody's own agent, found by a name on the Python path."""

from app.ports.agent_runtime import RunContext, TaskInput


async def count_words(task: TaskInput, context: RunContext) -> dict[str, int]:
    await context.report("Counting", 0.5)
    return {"words": len(task.text.split())}
