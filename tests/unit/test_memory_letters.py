"""The letters in memory keep what is promised of letters everywhere."""

import pytest

from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.commands import SubmitTask
from app.ports.redelivery import Redelivery
from tests.contracts.letter_store import LetterStoreContract, LetterViews
from tests.contracts.redelivery import ReadCommand, RedeliveryContract


class TestMemoryLetterStore(LetterStoreContract):
    @pytest.fixture
    def views(self) -> LetterViews:
        store = MemoryStatusStore()
        return LetterViews(store.letters, store)


class TestMemoryRedelivery(RedeliveryContract):
    @pytest.fixture
    def log(self) -> MemoryEventLog:
        return MemoryEventLog()

    @pytest.fixture
    def redelivery(self, log: MemoryEventLog) -> Redelivery:
        return log.redelivery()

    @pytest.fixture
    def read_command(self, log: MemoryEventLog) -> ReadCommand:
        async def read() -> SubmitTask:
            (command,) = (each.message for shard in log.ends() for each in log.records(shard))
            assert isinstance(command, SubmitTask)
            return command

        return read
