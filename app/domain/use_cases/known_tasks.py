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
        self._ever_finished = _Filter()

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

    def perhaps_finished(self, task_id: TaskId) -> bool:
        """Whether this worker may have finished it, lately or ever; False is certain."""
        return task_id in self._ever_finished

    def release(self, command: SubmitTask, *, ended: bool) -> None:
        """This delivery is over; the task has `ended` when its terminal event is durable."""
        self._running.pop(command.id).set()
        if ended:
            self._finished[command.id] = command.earlier.redrives
            self._ever_finished.add(command.id)
            if len(self._finished) > _REMEMBERED:
                self._finished.popitem(last=False)


class _Filter:
    """A Bloom filter of task ids, in 2 MB: of a million it takes one in 500 for one of them."""

    _BITS = 24
    _SHIFTS = (104, 80, 32, 8)
    """Where the bits of a UUID are random, or in a UUIDv7 at least differ."""

    def __init__(self) -> None:
        self._bits = bytearray(1 << self._BITS - 3)

    def add(self, task_id: TaskId) -> None:
        for place in self._places(task_id):
            self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, task_id: TaskId) -> bool:
        return all(self._bits[place >> 3] >> (place & 7) & 1 for place in self._places(task_id))

    def _places(self, task_id: TaskId) -> list[int]:
        number = int(task_id.replace("-", ""), 16)
        return [number >> shift & (1 << self._BITS) - 1 for shift in self._SHIFTS]
