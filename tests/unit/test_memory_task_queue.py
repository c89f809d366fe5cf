"""The memory queue keeps a queue's promises."""

import pytest

from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.task_queue import MemoryTaskQueue, MemoryTasks
from app.domain.model.commands import SubmitTask
from tests.contracts.task_queue import TaskQueueContract, Tasks


class InMemory(Tasks):
    def __init__(self) -> None:
        self._log = MemoryEventLog()
        self._tasks = MemoryTasks(self._log)

    async def put(self, command: SubmitTask) -> None:
        await self._log.publish(command)

    def queue(self, slots: int) -> MemoryTaskQueue:
        return MemoryTaskQueue(self._tasks, slots)


class TestMemoryTaskQueue(TaskQueueContract):
    @pytest.fixture
    def tasks(self) -> Tasks:
        return InMemory()
