"""The memory queue keeps a queue's promises."""

import pytest

from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.task_queue import MemoryTaskQueue, MemoryTasks
from app.domain.model.commands import SubmitTask
from tests.contracts.task_queue import TaskQueueContract, Tasks


class InMemory(Tasks):
    def __init__(self) -> None:
        self._log = MemoryEventLog()
        self.tasks = MemoryTasks(self._log)

    async def put(self, command: SubmitTask) -> None:
        await self._log.publish(command)

    def queue(self, slots: int, urgent_slots: int = 0) -> MemoryTaskQueue:
        return MemoryTaskQueue(self.tasks, slots, urgent_slots=urgent_slots)


class TestMemoryTaskQueue(TaskQueueContract):
    @pytest.fixture
    def tasks(self) -> Tasks:
        return InMemory()
