"""The fleet in memory: the port's contract."""

import pytest

from app.adapters.memory.fleet import MemoryFleet
from tests.contracts.fleet import FleetContract, OpenFeed


class TestMemoryFleet(FleetContract):
    @pytest.fixture
    def heartbeats(self) -> MemoryFleet:
        return MemoryFleet()

    @pytest.fixture
    def open_feed(self, heartbeats: MemoryFleet) -> OpenFeed:
        return lambda: heartbeats
