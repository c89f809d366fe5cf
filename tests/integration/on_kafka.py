"""The Kafka adapters of one test, with topics of their own, on either broker."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.provisioning import apply, plan
from app.adapters.kafka.topics import Topics
from tests.builders import ANALYST

PATIENCE = 30


class OnKafka:
    """On a real Apache Kafka."""

    @pytest.fixture
    def connection(self, kafka: str) -> KafkaConnection:
        return KafkaConnection(kafka)


class OnTheEmbeddedBroker:
    """On the broker of `crewline dev`."""

    @pytest.fixture
    def connection(self, embedded_kafka: str) -> KafkaConnection:
        return KafkaConnection(embedded_kafka, embedded=True)


class KafkaTopics:
    """Topics that are there before the test begins, and a log that writes to them."""

    @pytest.fixture
    async def topics(self, connection: KafkaConnection, topic_prefix: str) -> Topics:
        topics = Topics(topic_prefix, command_partitions=2, event_partitions=3)
        await apply(connection, await plan(connection, topics, [(ANALYST, ["rules"])]))
        return topics

    @pytest.fixture
    async def log(
        self, connection: KafkaConnection, topics: Topics
    ) -> AsyncIterator[KafkaEventLog]:
        async with KafkaEventLog(connection, topics) as log:
            yield log


async def read_records(
    connection: KafkaConnection, names: list[str], count: int
) -> list["ConsumerRecord[bytes, bytes]"]:
    """The first so many records of these topics, in order within each partition."""
    consumer = AIOKafkaConsumer(**connection.consumer_settings())
    consumer.subscribe(names)
    await consumer.start()
    try:
        records: list[ConsumerRecord[bytes, bytes]] = []
        async with asyncio.timeout(PATIENCE):
            while len(records) < count:
                for batch in (await consumer.getmany(timeout_ms=500)).values():
                    records += batch
        return records
    finally:
        await consumer.stop()


class _NoText(str):
    """A header's name whose bytes are no UTF-8."""

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


async def send_foreign_name(connection: KafkaConnection, topic: str, values: list[bytes]) -> None:
    """Send one batch whose second record has a header with a name that is no UTF-8."""
    producer = AIOKafkaProducer(**connection.producer_settings() | {"enable_idempotence": False})
    await producer.start()
    batch = producer.create_batch()
    batch._builder = _DefaultRecordBatchBuilderPy(  # the one that takes any name
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=0,
        batch_size=100_000,
    )
    for number, value in enumerate(values):
        headers = [(_NoText("x"), b"")] if number == 1 else []
        batch.append(key=b"k", value=value, timestamp=None, headers=headers)
    await (await producer.send_batch(batch, topic, partition=0))
    await producer.stop()
