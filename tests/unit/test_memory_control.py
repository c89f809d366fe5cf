"""The control topic in memory: the port's contract."""

import pytest

from app.adapters.memory.control import MemoryControl
from app.adapters.memory.event_log import MemoryEventLog
from tests.contracts.control import ControlContract, OpenControl


class TestMemoryControl(ControlContract):
    @pytest.fixture
    def log(self) -> MemoryEventLog:
        return MemoryEventLog()

    @pytest.fixture
    def open_control(self, log: MemoryEventLog) -> OpenControl:
        return lambda: MemoryControl(log)
