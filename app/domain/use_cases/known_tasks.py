"""Which tasks this worker has in hand, and which it finished lately."""

import asyncio
from collections import OrderedDict

from app.domain.model.commands import SubmitTask
from app.domain.model.ids import TaskId

_REMEMBERED = 10_000


class KnownTasks:
    def __init__(self) -> None:
        self._running: dict[TaskId, asyncio.Event] = {}
        self._finished: OrderedDict[TaskId, int] = OrderedDict()
        """With the redrive each was finished after."""

    async def take(self, command: SubmitTask) -> bool:
        """Wait while another delivery of this task runs. False: it is finished, do not run it."""
        while over := self._running.get(command.id):
            await over.wait()
        if self._finished.get(command.id, -1) >= command.earlier.redrives:
            return False
        self._running[command.id] = asyncio.Event()
        return True

    def heard_of(self, task_id: TaskId) -> bool:
        """Whether this worker has it in hand, or finished it lately."""
        return task_id in self._running or task_id in self._finished

    def release(self, command: SubmitTask, *, ended: bool) -> None:
        """This delivery is over; the task has `ended` when its terminal event is durable."""
        self._running.pop(command.id).set()
        if ended:
            self._finished[command.id] = command.earlier.redrives
            if len(self._finished) > _REMEMBERED:
                self._finished.popitem(last=False)
