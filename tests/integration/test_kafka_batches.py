"""What a producer sends: whole batches, in order, whatever the records' sizes are."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.producer import Acknowledgement, Producer
from app.adapters.kafka.topics import Topics
from app.domain.model.errors import PayloadTooLarge
from tests.integration.on_kafka import KafkaTopics, OnKafka, OnTheEmbeddedBroker, read_records


class Batched(KafkaTopics):
    @pytest.fixture
    async def producer(self, connection: KafkaConnection) -> AsyncIterator[Producer]:
        async with Producer(connection) as producer:
            yield producer

    async def test_records_of_one_key_stay_in_order_however_many_batches_they_fill(
        self, producer: Producer, connection: KafkaConnection, topics: Topics
    ) -> None:
        sizes = [10, 120_000, 500_000, 10, 90_000, 90_000, 90_000, 10]
        sent = [await _send(producer, topics, n, size) for n, size in enumerate(sizes)]
        await asyncio.gather(*sent)
        records = await read_records(connection, [topics.results], len(sizes))
        assert [json.loads(record.value or b"")["n"] for record in records] == [*range(len(sizes))]

    async def test_many_that_come_at_once_are_all_taken(
        self, producer: Producer, connection: KafkaConnection, topics: Topics
    ) -> None:
        async def send(number: int) -> None:
            await (await _send(producer, topics, number, 50_000))

        await asyncio.gather(*map(send, range(60)))
        records = await read_records(connection, [topics.results], 60)
        assert {json.loads(record.value or b"")["n"] for record in records} == {*range(60)}

    async def test_leaving_sends_what_is_still_gathering(
        self, connection: KafkaConnection, topics: Topics
    ) -> None:
        async with Producer(connection) as producer:
            for number in range(3):
                await _send(producer, topics, number, 100_000)
        assert len(await read_records(connection, [topics.results], 3)) == 3

    async def test_what_is_too_large_is_refused_and_nothing_else(
        self, producer: Producer, topics: Topics
    ) -> None:
        before = await _send(producer, topics, 1, 10)
        with pytest.raises(PayloadTooLarge):
            await _send(producer, topics, 2, 5_000_000)
        await before
        await (await _send(producer, topics, 3, 10))


class TestBatchesOnKafka(OnKafka, Batched):
    pass


class TestBatchesOnTheEmbeddedBroker(OnTheEmbeddedBroker, Batched):
    pass


async def _send(producer: Producer, topics: Topics, number: int, size: int) -> Acknowledgement:
    value = json.dumps({"n": number, "pad": "x" * size}).encode()
    return await producer.send(topics.results, key=b"one", value=value, headers=[])
