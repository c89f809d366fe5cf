"""A topic as a whole: from its start or what is known of it, and on as it grows, with no group."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from types import MappingProxyType

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.claims import Records
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.positions import began_anew, ends_of

_POLL_SECONDS = 0.5
_AFTER_AN_ERROR = 1.0
_log = logging.getLogger(__name__)


class WholeTopic:
    """Every record there is and every one to come, for each process that asks.

    Outlives outages of the brokers and a topic that is made anew: it is then read from its start,
    so its readers must take a record twice for once.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        start: Mapping[TopicPartition, int] = MappingProxyType({}),
        *,
        at_most: int | None = None,
    ) -> None:
        """Where `start` says nothing of a partition it is read from its own start.

        Of what stands in a partition when reading begins, only the last `at_most` are read.
        """
        self._connection = connection
        self._topic = topic
        self._positions = dict(start)
        self._at_most = at_most
        self._ends: dict[TopicPartition, int] | None = None
        """Where the topic ended when reading began."""
        self._caught_up = asyncio.Event()

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """How far each partition has been read."""
        return self._positions

    @property
    def has_caught_up(self) -> bool:
        """Whether all is read that stood there when reading began."""
        return self._caught_up.is_set()

    async def caught_up(self) -> None:
        """Return once all is read that stood there when reading began."""
        await self._caught_up.wait()

    async def batches(self) -> AsyncGenerator[Sequence["ConsumerRecord[bytes, bytes]"], None]:
        """Yield records in order; the next batch is asked for when the last has been dealt with.

        Whoever leaves off closes it, so that its consumer ends too.
        """
        consumer = await self._connected()
        try:
            while True:
                try:
                    await self._look_for_the_end(consumer)
                    records: Records = await consumer.getmany(timeout_ms=int(_POLL_SECONDS * 1000))
                    if consumer.assignment() != self._positions.keys():
                        self._go_on(consumer)
                        continue
                    if not records:
                        await self._see_where(consumer)
                except (KafkaError, IllegalStateError, TimeoutError) as error:
                    _log.warning("reading %s failed, trying again: %r", self._topic, error)
                    await asyncio.sleep(_AFTER_AN_ERROR)
                    self._go_on(consumer)  # what was read of other partitions is gone
                    continue
                for name, batch in records.items():
                    yield batch
                    self._positions[name] = batch[-1].offset + 1
        finally:
            await consumer.stop()

    async def _connected(self) -> AIOKafkaConsumer:
        while True:
            consumer = AIOKafkaConsumer(**self._connection.consumer_settings())
            try:
                consumer.subscribe([self._topic])
                await consumer.start()
            except (KafkaError, OSError) as error:
                await consumer.stop()
                _log.warning("cannot read %s yet, trying again: %r", self._topic, error)
                await asyncio.sleep(_AFTER_AN_ERROR)
            except BaseException:
                await consumer.stop()
                raise
            else:
                self._go_on(consumer)
                return consumer

    async def _look_for_the_end(self, consumer: AIOKafkaConsumer) -> None:
        """Learn where the topic ends, once, and notice when that much has been read."""
        if self._caught_up.is_set():
            return
        if self._ends is None:
            self._ends = await ends_of(consumer, self._positions, self._connection)
            if self._at_most is not None:
                for name, end in self._ends.items():
                    known = self._positions[name]
                    known = known if known <= end else 0  # it was made anew
                    self._positions[name] = max(known, end - self._at_most)
            self._seek(consumer)
        if all(self._positions[name] >= end for name, end in self._ends.items()):
            self._caught_up.set()

    async def _see_where(self, consumer: AIOKafkaConsumer) -> None:
        """Nothing came: the end may have been reached past records that are no more."""
        for name, known in self._positions.items():
            if began_anew(consumer, name, known, self._connection):
                self._positions[name] = 0
                consumer.seek(name, 0)
            elif not self._caught_up.is_set():
                async with asyncio.timeout(_POLL_SECONDS):
                    self._positions[name] = await consumer.position(name)

    def _go_on(self, consumer: AIOKafkaConsumer) -> None:
        """Go on from where we are, and with a topic that is new to us from its start."""
        self._positions = {name: self._positions.get(name, 0) for name in consumer.assignment()}
        self._ends = None  # it may be another topic by now
        self._seek(consumer)

    def _seek(self, consumer: AIOKafkaConsumer) -> None:
        for name, position in self._positions.items():
            consumer.seek(name, position)
