"""The log in memory keeps the promises of the real one."""

import asyncio

import pytest

from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.event_feed import MemoryEventFeed
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.result_tail import MemoryResultTail
from app.domain.model.dead_letters import DeadLetter
from app.domain.model.messages import Message
from tests.builders import submitted
from tests.contracts.dead_letters import DeadLettersContract, ReadLetters
from tests.contracts.event_feed import EventFeedContract, OpenFeed
from tests.contracts.event_log import EventLogContract, ReadBack
from tests.contracts.result_tail import OpenTail, ResultTailContract


class OneLog:
    @pytest.fixture
    def log(self) -> MemoryEventLog:
        return MemoryEventLog()


class TestMemoryEventLog(OneLog, EventLogContract):
    @pytest.fixture
    def read_back(self, log: MemoryEventLog) -> ReadBack:
        async def read(count: int) -> list[Message]:
            async with asyncio.timeout(5):
                await log.until(lambda: sum(log.ends().values()) >= count)
            there = (each.message for shard in log.ends() for each in log.records(shard))
            return [message for message in there if isinstance(message, Message)]

        return read

    async def test_tasks_of_one_conversation_share_a_shard(self, log: MemoryEventLog) -> None:
        for number in range(20):
            await log.publish(submitted(f"t-{number}", context_id="c-1"))
        assert list(log.ends().values()) == [20]


class TestMemoryEventFeed(OneLog, EventFeedContract):
    @pytest.fixture
    def open_feed(self, log: MemoryEventLog) -> OpenFeed:
        return lambda _group: MemoryEventFeed(log)


class TestMemoryResultTail(OneLog, ResultTailContract):
    @pytest.fixture
    def open_tail(self, log: MemoryEventLog) -> OpenTail:
        return lambda: MemoryResultTail(log)


class TestMemoryDeadLetters(DeadLettersContract):
    @pytest.fixture
    def dead_letters(self) -> MemoryDeadLetters:
        return MemoryDeadLetters()

    @pytest.fixture
    def read_letters(self, dead_letters: MemoryDeadLetters) -> ReadLetters:
        async def read() -> list[DeadLetter]:
            return dead_letters.letters

        return read
