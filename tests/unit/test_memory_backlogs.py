"""Backlogs in memory keep what backlogs promise."""

import pytest

from app.adapters.memory.backlogs import MemoryBacklogs
from app.ports.backlogs import Backlogs
from tests.contracts.backlogs import BacklogsContract
from tests.contracts.task_queue import Tasks
from tests.unit.test_memory_task_queue import InMemory


class TestMemoryBacklogs(BacklogsContract):
    @pytest.fixture
    def tasks(self) -> Tasks:
        return InMemory()

    @pytest.fixture
    def backlogs(self, tasks: InMemory) -> Backlogs:
        return MemoryBacklogs(tasks.tasks)
