"""Ask for a task to be stopped, wherever it is."""

from contextlib import suppress
from dataclasses import dataclass

from app.domain.model.commands import CancelTask
from app.domain.model.errors import Conflict, Unavailable
from app.domain.model.ids import TaskId
from app.domain.model.task import Task, canceled_unseen, canceling
from app.domain.use_cases.read_status import ReadStatus
from app.ports.clock import Clock
from app.ports.event_log import EventLog
from app.ports.status_store import StoreUnavailable


class TaskEnded(Conflict):
    """The task has ended: there is nothing to stop any more."""

    code = "task-ended"


@dataclass(frozen=True, slots=True)
class CancelTaskHandler:
    log: EventLog
    status: ReadStatus
    clock: Clock

    async def __call__(
        self, task_id: TaskId, reason: str | None = None, traceparent: str | None = None
    ) -> Task:
        """Return the task as it is being stopped, once every worker is certain to hear of it.

        It may still end otherwise, for it may have been about to. Asking again is harmless.
        Raises `UnknownTask`, and `TaskEnded` before anything is published. Where the views cannot
        say whether there is such a task it is asked for all the same: workers hear of it anyway.
        """
        task = None
        with suppress(Unavailable):  # then nobody can tell here whether there is one
            task = await self.status.find(task_id)
        if task and task.state.terminal:
            raise TaskEnded(f"task {task_id} has ended: it is {task.state}")
        cancel = CancelTask(
            task_id=task_id, at=self.clock.now(), reason=reason, traceparent=traceparent
        )
        await self.log.publish(cancel)
        with suppress(StoreUnavailable):  # it is canceled whether the views can say so or not
            if task:
                await self.status.seen_canceling(task_id)
        if task is None:
            return canceled_unseen(cancel)
        answer = canceling(task, cancel)
        self.status.answered(answer)
        return answer
