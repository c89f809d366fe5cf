"""Gets past records the Kafka library cannot read at all.

Kafka wants names of headers in UTF-8, but some producers send anything. aiokafka then raises for
the whole partition, again and again, and forgets what it had read of the others: one such record
would stop every reader for ever.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError

Records: TypeAlias = Mapping[TopicPartition, list[ConsumerRecord[bytes, bytes]]]

_FETCH_MS = 1_000
_log = logging.getLogger(__name__)


async def read_around(
    consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int]
) -> tuple[Records, dict[TopicPartition, int]]:
    """Read what stands before unreadable records, and go on behind them.

    To be called when `getmany` has raised a `UnicodeDecodeError`, with the offset of every assigned
    partition up to which it was read. Returns the records, and for each partition that was held
    up the offset it goes on from. What stands behind such a record in one batch, and so was sent
    by the same producer, is lost with it. Raises `IllegalStateError` when the partitions change
    meanwhile.
    """
    _seek(consumer, positions)
    tried = await asyncio.gather(
        *(consumer.getmany(name, timeout_ms=_FETCH_MS) for name in positions),
        return_exceptions=True,
    )
    _seek(consumer, positions)
    records: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {}
    behind: dict[TopicPartition, int] = {}
    for name, outcome in zip(positions, tried, strict=True):
        if isinstance(outcome, UnicodeDecodeError):
            records[name], first = await _before(consumer, name)
            behind[name] = await _behind(consumer, name, first)
            _log.error(
                "%s/%s@%d-%d cannot be read, a header's name is not UTF-8: skipped",
                *name,
                first,
                behind[name] - 1,
            )
        elif isinstance(outcome, BaseException):
            raise outcome
    return {name: batch for name, batch in records.items() if batch}, behind


def _seek(consumer: AIOKafkaConsumer, positions: Mapping[TopicPartition, int]) -> None:
    for name, position in positions.items():
        consumer.seek(name, position)


async def _before(
    consumer: AIOKafkaConsumer, name: TopicPartition
) -> tuple[list["ConsumerRecord[bytes, bytes]"], int]:
    """The readable records, and the offset of the first that is not."""
    records: list[ConsumerRecord[bytes, bytes]] = []
    while True:
        try:
            found = await consumer.getmany(name, timeout_ms=_FETCH_MS, max_records=1)
        except UnicodeDecodeError:
            return records, await consumer.position(name)
        if not found:
            raise IllegalStateError(f"{name} has been given away or made anew meanwhile")
        records += found[name]


async def _behind(consumer: AIOKafkaConsumer, name: TopicPartition, offset: int) -> int:
    """The next offset that can be read from: that of the following batch, or of the end."""
    while True:
        offset += 1
        consumer.seek(name, offset)
        try:
            await consumer.getmany(name, timeout_ms=_FETCH_MS, max_records=1)
        except UnicodeDecodeError:
            continue
        consumer.seek(name, offset)
        return offset
