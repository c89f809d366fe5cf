"""Everything the views are made from, read from the offsets that stand beside them.

The group only shares out the partitions. What it commits, now and then, is for those who look at
its lag: nothing is ever read from there.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.claims import Records
from app.adapters.kafka.codec import Codec
from app.adapters.kafka.connection import KafkaConnection, Settings
from app.adapters.kafka.dead_letters import read_lying
from app.adapters.kafka.positions import began_anew, ends_of, position_of
from app.adapters.kafka.topics import Topics
from app.adapters.kafka.turns import AtMost, Turns
from app.ports.event_log import (
    Batch,
    EventFeed,
    LogUnavailable,
    Offsets,
    Recorded,
    Shard,
    StoredOffsets,
)
from app.ports.task_queue import Undecodable

_POLL_SECONDS = 0.2
_AFTER_AN_ERROR = 1.0
_COMMIT_EVERY = 5.0
_FIRST_AT_ONCE = 100
"""Records after a pause; then twice as many each time."""
_BYTES_AT_ONCE = 8_000_000
"""As objects they take many times that."""
_SPACING = 0.05
"""Seconds between two batches at least: what comes meanwhile shares one transaction."""
_LOOK_PAST_EVERY = 1.0
_log = logging.getLogger(__name__)


class KafkaEventFeed(EventFeed):
    """Members of one `group` share the partitions; without a group a feed reads all of them."""

    def __init__(
        self,
        connection: KafkaConnection,
        topics: Topics,
        group: str | None,
        *,
        at_once: int = 2_000,
        member: str | None = None,
    ) -> None:
        """`member` is a name only this process has: a restart under it moves no partitions."""
        self._connection = connection
        self._topics = topics
        self._group = group
        self._member = member
        self._portion = _Portion(at_once)
        self._codec = Codec(topics)
        self._stored: dict[TopicPartition, int] = {}
        """What the reader has stored of each partition we read."""
        self._rewound = True
        self._looked_at = 0.0
        self.passed_over = 0

    async def batches(self, stored: StoredOffsets) -> AsyncIterator[Batch]:
        async with self._consuming() as consumer:
            committed_at = asyncio.get_running_loop().time()
            turns = Turns(consumer)
            while True:
                try:
                    if self._rewound:
                        await self._go_to(consumer, stored)
                    batch = await self._next(consumer, turns)
                    if asyncio.get_running_loop().time() - committed_at > _COMMIT_EVERY:
                        committed_at = asyncio.get_running_loop().time()
                        await self._show_progress(consumer)
                except (KafkaError, IllegalStateError) as error:
                    _log.warning("reading the log failed, trying again: %r", error)
                    self._rewound = True  # what was read of other partitions is gone
                    await asyncio.sleep(_AFTER_AN_ERROR)
                    continue
                if batch is not None:
                    yielded_at = asyncio.get_running_loop().time()
                    yield batch
                    spent = asyncio.get_running_loop().time() - yielded_at
                    await asyncio.sleep(max(0, _SPACING - spent))

    async def rewind(self) -> None:
        self._rewound = True

    async def ends(self) -> Offsets:
        async with self._asking("the ends of the log cannot be read now") as consumer:
            ends = await ends_of(consumer, consumer.assignment(), self._connection)
            return {Shard(*partition): end for partition, end in ends.items()}

    async def starts(self) -> Offsets:
        async with self._asking("the start of the log cannot be read now") as consumer:
            starts = await consumer.beginning_offsets(list(consumer.assignment()))
            return {Shard(*partition): start for partition, start in starts.items()}

    @asynccontextmanager
    async def _asking(self, unavailable: str) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer of the whole log that has not read anything."""
        consumer = AIOKafkaConsumer(**self._connection.consumer_settings())
        consumer.subscribe(pattern=self._topics.feed_pattern)
        try:
            await consumer.start()
            yield consumer
        except (KafkaError, OSError, TimeoutError) as error:
            raise LogUnavailable(unavailable) from error
        finally:
            await consumer.stop()

    # --- reading

    async def _next(self, consumer: AIOKafkaConsumer, turns: Turns) -> Batch | None:
        assigned = consumer.assignment()
        records = await turns.take(assigned, AtMost(self._portion.records), _POLL_SECONDS)
        if not self._rewound and consumer.assignment() != self._stored.keys():
            self._rewound = True
        if self._rewound:
            return None  # what was read from before we were at the stored offsets
        self._portion.read(records)
        after = await self._positions(consumer, idle=not records)
        after |= {
            name: max(after.get(name, 0), batch[-1].offset + 1) for name, batch in records.items()
        }
        if not after or self._rewound:
            return None
        for name, batch in records.items():
            if batch[0].offset < self._stored[name]:
                _log.warning("%s/%s was made anew: it is read from its start", *name)
        before = {Shard(*name): self._stored[name] for name in after}
        self._stored |= after
        return Batch(
            self._read(records), before, {Shard(*name): end for name, end in after.items()}
        )

    async def _positions(
        self, consumer: AIOKafkaConsumer, *, idle: bool
    ) -> dict[TopicPartition, int]:
        """Partitions that got on without a record for us: past aborted ones, or a reset."""
        now = asyncio.get_running_loop().time()
        if not idle and now - self._looked_at < _LOOK_PAST_EVERY:
            return {}
        self._looked_at = now
        moved: dict[TopicPartition, int] = {}
        for name, known in self._stored.items():
            if idle and began_anew(consumer, name, known, self._connection):
                consumer.seek(name, 0)
            position = await position_of(consumer, name)
            if position is not None and position != known:
                moved[name] = position
        return moved

    def _read(self, records: Records) -> list[Recorded]:
        read: list[Recorded] = []
        failures: list[str] = []
        for name, batch in records.items():
            shard, dead = Shard(*name), name.topic == self._topics.dead_letters
            for record in batch:
                message = read_lying(record) if dead else self._codec.any(record)
                if isinstance(message, Undecodable):
                    failures.append(f"{name.topic}/{name.partition}@{record.offset}")
                elif message is not None:
                    read.append(Recorded(message, shard, record.offset, record.timestamp))
        if failures:
            self.passed_over += len(failures)
            _log.warning("passed over %d unreadable records, first %s", len(failures), failures[0])
        return read

    # --- where to read

    async def _go_to(self, consumer: AIOKafkaConsumer, stored: StoredOffsets) -> None:
        self._rewound = False
        offsets = await stored.offsets()
        if self._rewound:
            return
        assigned = consumer.assignment()
        self._stored = {name: offsets.get(Shard(*name), 0) for name in assigned}
        for name, offset in self._stored.items():
            consumer.seek(name, offset)  # where nothing is left or yet, it starts at the earliest

    async def _show_progress(self, consumer: AIOKafkaConsumer) -> None:
        """Commit for lag tools."""
        if self._group is not None and self._stored:
            with suppress(KafkaError):
                await consumer.commit(dict(self._stored))

    @asynccontextmanager
    async def _consuming(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(**self._settings(), group_id=self._group)
        consumer.subscribe(pattern=self._topics.feed_pattern, listener=_Assigned(self))
        try:
            await _start(consumer)
            yield consumer
        finally:
            await consumer.stop()

    def _settings(self) -> Settings:
        # new agents' topics are noticed when the metadata is read again
        fresh = min(10_000, self._connection.consumer_settings()["metadata_max_age_ms"])
        settings = self._connection.busy_consumer_settings() | {"metadata_max_age_ms": fresh}
        return settings | ({"group_instance_id": self._member} if self._member else {})

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """These are not ours any more, or ours anew: what they deliver now does not count."""
        self._rewound = True
        for name in partitions:
            self._stored.pop(name, None)


class _Portion:
    """How many records to ask for at once, as what they take can only be guessed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._last = 0
        self._size = 1.0
        """Bytes of a record, as the latest large ones tell."""

    @property
    def records(self) -> int:
        grown = max(_FIRST_AT_ONCE, 2 * self._last)
        return max(1, min(self._most, grown, int(_BYTES_AT_ONCE / self._size)))

    def read(self, records: Records) -> None:
        sizes = [len(each.value or b"") for batch in records.values() for each in batch]
        self._last = len(sizes)
        average = sum(sizes) / len(sizes) if sizes else 0
        self._size = max(average, self._size / 2, 1.0)


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Has the feed ask for the stored offsets whenever the group shares the partitions anew."""

    def __init__(self, feed: KafkaEventFeed) -> None:
        self._feed = feed

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._feed.forget(revoked)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._feed.forget(assigned)


async def _start(consumer: AIOKafkaConsumer) -> None:
    while True:
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            _log.warning("kafka is away, trying again: %r", error)
            await asyncio.sleep(_AFTER_AN_ERROR)
        else:
            return
