"""What a fleet has not done yet: commands without outcome, messages the views do not know."""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app.adapters.kafka.group_offsets import GroupOffsets
from app.adapters.sql.opening import open_database
from app.adapters.sql.view_store import SqlViewStore
from app.domain.model.errors import Unavailable
from app.ports.event_log import Shard
from tests.chaos.fleet import Fleet
from tests.chaos.partitions import are_commands, partitions_of

NOBODY_CAN_TELL = "nobody can tell who"
"""Stands for all readers while Kafka or the store cannot be asked."""


async def lag(fleet: Fleet) -> dict[str, int]:
    """How many records each reader of a partition is behind; nothing where nobody is."""
    try:
        ends, committed = await _log(fleet)
        async with open_database(fleet.store) as database:
            stored = await SqlViewStore(database).offsets()
    except (KafkaError, Unavailable, OSError, TimeoutError):
        return {NOBODY_CAN_TELL: 1}
    folded = {name: stored.get(Shard(*name), 0) for name in ends}
    commands = {name: end for name, end in ends.items() if are_commands(name)}
    return _behind("workers", commands, committed) | _behind("views", ends, folded)


async def _log(fleet: Fleet) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=fleet.kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=fleet.kafka)
    try:
        await consumer.start()
        await admin.start()
        partitions = [
            name
            for name in await partitions_of(admin, fleet.prefix)
            if are_commands(name) or name.topic == f"{fleet.prefix}.results"
        ]
        ends = await consumer.end_offsets(partitions)
        commands = [name for name in partitions if are_commands(name)]
        commits = await GroupOffsets(admin, fleet.worker_group)(commands)
    finally:
        await consumer.stop()
        await admin.close()
    return ends, {name: commit.position for name, commit in commits.items()}


def _behind(
    who: str, ends: Mapping[TopicPartition, int], reached: Mapping[TopicPartition, int]
) -> dict[str, int]:
    left = {
        f"{who} on {name.topic}/{name.partition}": end - reached.get(name, 0)
        for name, end in ends.items()
    }
    return {where: count for where, count in left.items() if count}
