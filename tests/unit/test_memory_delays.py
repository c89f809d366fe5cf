"""The memory delays keep the contract."""

import pytest

from app.adapters.memory.delays import MemoryDelayQueue, MemoryDelays
from app.ports.delays import DelayQueue, Unwanted, nothing
from tests.contracts.delays import DelaysContract, Waiting


class InMemory(Waiting):
    def __init__(self) -> None:
        self._delays = MemoryDelays()

    @property
    def delays(self) -> MemoryDelays:
        return self._delays

    def queue(self, unwanted: Unwanted = nothing) -> DelayQueue:
        return MemoryDelayQueue(self._delays, unwanted)


class TestMemoryDelays(DelaysContract):
    @pytest.fixture
    def waiting(self) -> Waiting:
        return InMemory()
