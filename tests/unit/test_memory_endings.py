"""What has ended, in memory: the port's contract."""

import pytest

from app.adapters.memory.endings import MemoryEndings
from app.adapters.memory.event_feed import MemoryEventFeed
from app.adapters.memory.event_log import MemoryEventLog
from tests.contracts.endings import EndingsContract


class TestMemoryEndings(EndingsContract):
    @pytest.fixture
    def log(self) -> MemoryEventLog:
        return MemoryEventLog()

    @pytest.fixture
    def feed(self, log: MemoryEventLog) -> MemoryEventFeed:
        return MemoryEventFeed(log)

    @pytest.fixture
    def endings(self, log: MemoryEventLog) -> MemoryEndings:
        return MemoryEndings(log)
