"""Which tasks shall not go on, as far as this worker has heard."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from weakref import WeakValueDictionary

from app.domain.model.commands import NOTHING_EARLIER, CancelTask, Earlier
from app.domain.model.ids import TaskId

_REMEMBERED = 100_000


class _Awaited(asyncio.Event):
    def __init__(self, redriven_at: datetime | None) -> None:
        super().__init__()
        self.redriven_at = redriven_at


class Cancellations:
    """Kept for tasks that are still queued, or whose worker died; the newest are remembered."""

    def __init__(self) -> None:
        self._asked: OrderedDict[TaskId, CancelTask] = OrderedDict()
        self._awaited: WeakValueDictionary[TaskId, _Awaited] = WeakValueDictionary()
        """For as long as somebody waits."""
        self.tell: Callable[[TaskId], None] | None = None
        """Called with each task somebody wants stopped, for whoever else holds tasks."""

    def note(self, cancel: CancelTask) -> None:
        """Somebody wants this task stopped; whoever waits for that is told."""
        known = self._asked.get(cancel.task_id)
        if known is None or known.at < cancel.at:
            self._asked[cancel.task_id] = CancelTask(  # without what else somebody wrote into it
                task_id=cancel.task_id,
                at=cancel.at,
                reason=cancel.reason,
                traceparent=cancel.traceparent,
            )
        if len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        awaited = self._awaited.get(cancel.task_id)
        if awaited is not None and not _outlived(cancel, awaited.redriven_at):
            awaited.set()
        if self.tell:
            self.tell(cancel.task_id)

    def unwanted(self, task_id: TaskId, earlier: Earlier) -> bool:
        """Whether somebody wants this task stopped, and not only a former life of it."""
        asked = self._asked.get(task_id)
        return asked is not None and not _outlived(asked, earlier.redriven_at)

    def asked(self, task_id: TaskId) -> CancelTask | None:
        """The latest request to cancel this task, if there was one."""
        return self._asked.get(task_id)

    def awaited(self, task_id: TaskId, earlier: Earlier = NOTHING_EARLIER) -> asyncio.Event:
        """Set as soon as somebody wants the task stopped, and not only a former life of it."""
        if earlier.redriven_at is not None:
            self.outlived(task_id, earlier.redriven_at)
        event = self._awaited.get(task_id)
        if event is None:
            self._awaited[task_id] = event = _Awaited(earlier.redriven_at)
            if task_id in self._asked:
                event.set()
        return event

    def outlived(self, task_id: TaskId, redriven_at: datetime) -> None:
        """The task was redriven: what was asked before that is no longer asked."""
        asked = self._asked.get(task_id)
        if asked is not None and _outlived(asked, redriven_at):
            del self._asked[task_id]
            self._awaited.pop(task_id, None)


def _outlived(asked: CancelTask, redriven_at: datetime | None) -> bool:
    return redriven_at is not None and asked.at < redriven_at
