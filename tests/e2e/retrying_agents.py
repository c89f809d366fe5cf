"""Agents that fail, wait and take their worker with them; what they do is noted in the ledger."""

import os
import signal
from datetime import datetime

from app.adapters.kafka.delays import KafkaDelays
from app.domain.model.commands import SubmitTask
from app.domain.model.errors import RunFailed
from app.domain.model.events import Result
from app.ports.agent_runtime import RunContext, TaskInput
from tests.e2e.agents import note


async def flaky(task: TaskInput, context: RunContext) -> Result:
    """Fail the first `failures` runs, asking to be left alone for `retry_after` seconds.

    With `die_after_put` its worker is killed as soon as the delays have the task.
    """
    note("began", task.task_id, context.attempt)
    if context.attempt <= int(str(task.parameters.get("failures", 1))):
        if task.parameters.get("die_after_put"):
            _die_after_put()
        asked = task.parameters.get("retry_after")
        retry_after = None if asked is None else float(str(asked))
        raise RunFailed("try-later", "not yet", retryable=True, retry_after=retry_after)
    note("ended", task.task_id, context.attempt)
    return Result(output="done")


async def deadly(task: TaskInput, context: RunContext) -> Result:
    """End the process as a bug in some C library would."""
    note("began", task.task_id, context.attempt)
    os._exit(1)


def _die_after_put() -> None:
    put = KafkaDelays.put

    async def put_and_die(self: KafkaDelays, command: SubmitTask, not_before: datetime) -> None:
        await put(self, command, not_before)
        os.kill(os.getpid(), signal.SIGKILL)

    KafkaDelays.put = put_and_die  # type: ignore[method-assign]
