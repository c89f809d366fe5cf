"""The memory queue keeps a queue's promises."""

import pytest

from app.adapters.memory.task_queue import MemoryTaskQueue, MemoryTasks
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from tests.builders import at
from tests.contracts.task_queue import TaskQueueContract, Tasks


class InMemory(Tasks):
    def __init__(self) -> None:
        self._tasks = MemoryTasks()

    async def put(self, command: SubmitTask) -> None:
        offset = len(self._tasks.entries)
        origin = Origin(topic="commands", partition=0, offset=offset, timestamp=at(0))
        self._tasks.put(command, origin)

    def queue(self, slots: int) -> MemoryTaskQueue:
        return MemoryTaskQueue(self._tasks, slots)


class TestMemoryTaskQueue(TaskQueueContract):
    @pytest.fixture
    def tasks(self) -> Tasks:
        return InMemory()
