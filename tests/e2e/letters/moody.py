"""An agent that fails until somebody mends what it depends on."""

import os
from pathlib import Path

from app.domain.model.errors import RunFailed
from app.domain.model.events import Result
from app.ports.agent_runtime import RunContext, TaskInput

MENDED = "TEST_MENDED"
"""Names the file that is there once all is well."""


def run(task: TaskInput, context: RunContext) -> Result:
    """Say in which attempt it worked out."""
    if task.input != "please" and not Path(os.environ[MENDED]).exists():
        raise RunFailed("bad-mood", "not in the mood", retryable=True)
    return Result(output={"attempt": context.attempt, "asked": task.input})


def reach(task: TaskInput, context: RunContext) -> Result:
    """Raise what a client library would."""
    if not Path(os.environ[MENDED]).exists():
        raise ConnectionError("nobody answers")
    return Result(output={"attempt": context.attempt, "asked": task.input})
