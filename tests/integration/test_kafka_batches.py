"""What a producer sends: whole batches, in order, whatever the records' sizes are."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.producer import Acknowledgement, Producer
from app.adapters.kafka.topics import Topics
from app.domain.model.errors import PayloadTooLarge
from tests.integration.on_kafka import KafkaTopics, OnKafka, OnTheEmbeddedBroker, read_records

SMALL = 50_000


class Batched(KafkaTopics):
    @pytest.fixture
    async def producer(self, connection: KafkaConnection) -> AsyncIterator[Producer]:
        async with Producer(connection) as producer:
            yield producer

    async def test_records_of_one_key_stay_in_order_however_many_batches_they_fill(
        self, producer: Producer, connection: KafkaConnection, topics: Topics
    ) -> None:
        sizes = [10, 120_000, 500_000, 10, 90_000, 90_000, 90_000, 10]
        sent = [await _send(producer, topics.results, n, size) for n, size in enumerate(sizes)]
        await asyncio.gather(*sent)
        records = await read_records(connection, [topics.results], len(sizes))
        assert [json.loads(record.value or b"")["n"] for record in records] == [*range(len(sizes))]

    async def test_many_that_come_at_once_are_all_taken(
        self, producer: Producer, connection: KafkaConnection, topics: Topics
    ) -> None:
        async def send(number: int) -> None:
            await (await _send(producer, topics.results, number, 50_000))

        await asyncio.gather(*map(send, range(60)))
        records = await read_records(connection, [topics.results], 60)
        assert {json.loads(record.value or b"")["n"] for record in records} == {*range(60)}

    async def test_leaving_sends_what_is_still_gathering(
        self, connection: KafkaConnection, topics: Topics
    ) -> None:
        async with Producer(connection) as producer:
            for number in range(3):
                await _send(producer, topics.results, number, 100_000)
        assert len(await read_records(connection, [topics.results], 3)) == 3

    async def test_what_is_too_large_is_refused_and_nothing_else(
        self, producer: Producer, topics: Topics
    ) -> None:
        before = await _send(producer, topics.results, 1, 10)
        with pytest.raises(PayloadTooLarge):
            await _send(producer, topics.results, 2, 5_000_000)
        await before
        await (await _send(producer, topics.results, 3, 10))


class TestBatchesOnKafka(OnKafka, Batched):
    @pytest.fixture
    async def small(self, connection: KafkaConnection, topics: Topics) -> str:
        """A topic whose operator lets its batches be no larger than we would send at once."""
        admin = AIOKafkaAdminClient(**connection.admin_settings())
        await admin.start()
        limit, name = {"max.message.bytes": str(SMALL)}, f"{topics.prefix}.small"
        await admin.create_topics([NewTopic(name, 1, 1, topic_configs=limit)])
        await admin.close()
        return name

    async def test_a_batch_the_topic_does_not_take_goes_in_parts_and_in_order(
        self, producer: Producer, connection: KafkaConnection, small: str
    ) -> None:
        for begin in (0, 12):  # the second time it is known what it takes
            sent = [await _send(producer, small, begin + n, 9_000) for n in range(12)]
            await asyncio.gather(*sent)
        records = await read_records(connection, [small], 24)
        assert [json.loads(record.value or b"")["n"] for record in records] == [*range(24)]

    async def test_what_the_topic_does_not_take_is_refused_and_nothing_beside_it(
        self, producer: Producer, connection: KafkaConnection, small: str
    ) -> None:
        sizes = [9_000, SMALL + 1, 9_000, 20_000, SMALL * 2, 10]
        sent = [await _send(producer, small, n, size) for n, size in enumerate(sizes)]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        refused = [n for n, outcome in enumerate(outcomes) if outcome is not None]
        assert refused == [1, 4]
        assert all(isinstance(outcomes[n], PayloadTooLarge) for n in refused)
        await (await _send(producer, small, 6, 10))
        records = await read_records(connection, [small], 5)
        assert [json.loads(record.value or b"")["n"] for record in records] == [0, 2, 3, 5, 6]


class TestBatchesOnTheEmbeddedBroker(OnTheEmbeddedBroker, Batched):
    pass


async def _send(producer: Producer, topic: str, number: int, size: int) -> Acknowledgement:
    value = json.dumps({"n": number, "pad": "x" * size}).encode()
    return await producer.send(topic, key=b"one", value=value, headers=[])
