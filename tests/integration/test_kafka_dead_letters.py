"""Dead letters on Kafka: the port's contract, and letters that are too large."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.dead_letters import KafkaDeadLetters, read_dead_letter
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.topics import Topics
from app.domain.model.dead_letters import DeadLetter
from tests.builders import completed
from tests.contracts.dead_letters import DeadLettersContract, ReadLetters, letter
from tests.integration.on_kafka import KafkaTopics, OnKafka, OnTheEmbeddedBroker, read_records


class DeadLettersOnKafka(KafkaTopics, DeadLettersContract):
    @pytest.fixture
    async def dead_letters(
        self, connection: KafkaConnection, topics: Topics
    ) -> AsyncIterator[KafkaDeadLetters]:
        async with KafkaDeadLetters(connection, topics) as dead_letters:
            yield dead_letters

    @pytest.fixture
    def read_letters(self, connection: KafkaConnection, topics: Topics) -> ReadLetters:
        async def read() -> list[DeadLetter]:
            records = await read_records(connection, [topics.dead_letters], 1)
            letters = [read_dead_letter(record) for record in records]
            return [each for each in letters if each is not None]

        return read

    async def test_a_message_of_the_brokers_limit_fits_with_its_reason(
        self, dead_letters: KafkaDeadLetters, read_letters: ReadLetters
    ) -> None:
        largest = letter(origin=replace(letter().origin, value=b"x" * 1_048_000))
        await dead_letters.put(largest)
        assert await read_letters() == [largest]

    async def test_what_is_no_letter_is_none(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        await log.publish(completed())
        [record] = await read_records(connection, [topics.results], 1)
        assert read_dead_letter(record) is None


class TestDeadLettersOnKafka(OnKafka, DeadLettersOnKafka):
    async def test_what_does_not_fit_is_kept_without_its_value(
        self, dead_letters: KafkaDeadLetters, read_letters: ReadLetters
    ) -> None:
        huge = replace(letter().origin, value=b"x" * 3_000_000)
        await dead_letters.put(letter(origin=huge))
        assert await read_letters() == [letter(origin=replace(huge, value=None))]


class TestDeadLettersOnTheEmbeddedBroker(OnTheEmbeddedBroker, DeadLettersOnKafka):
    pass
