"""Where partitions end, on brokers that say so and on the one that does not."""

import asyncio
from collections.abc import Collection
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.connection import KafkaConnection

_PATIENCE = 10.0


async def ends_of(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition], connection: KafkaConnection
) -> dict[TopicPartition, int]:
    """The offset behind the last record of each partition, all of which are assigned.

    Kafka is simply asked. The embedded broker answers with the start of the last batch, and tells
    the true end only beside fetched records; the consumer's position is then somewhere near it.
    """
    ends: dict[TopicPartition, int] = await consumer.end_offsets(list(partitions))
    if not connection.embedded:
        return ends
    for partition, end in ends.items():
        consumer.seek(partition, end)
    async with asyncio.timeout(_PATIENCE):
        while any(consumer.highwater(partition) is None for partition in ends):
            await consumer.getmany(timeout_ms=50)
    return {partition: consumer.highwater(partition) or 0 for partition in ends}


async def position_of(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """The offset behind all that was handed out; None where the consumer is about to look it up.

    It is past what holds no record for us: the ends of transactions, aborted records, what was
    deleted. It never waits.
    """
    with suppress(TimeoutError, IllegalStateError, KafkaError):
        async with asyncio.timeout(0):
            return int(await consumer.position(partition))
    return None


def began_anew(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    position: int,
    connection: KafkaConnection,
) -> bool:
    """Whether a partition now ends before our position, because its broker forgot everything.

    Kafka says that an offset is out of range, and the consumer starts again by itself. The
    embedded broker, which is empty after a restart, just has nothing to say.
    """
    if not connection.embedded:
        return False
    end = consumer.highwater(partition)
    return end is not None and end < position
