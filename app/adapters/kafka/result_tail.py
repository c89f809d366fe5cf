"""The results from now on, heard by every process that asks, without a group."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.claims import Records
from app.adapters.kafka.codec import Codec
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.positions import began_anew, ends_of
from app.adapters.kafka.topics import Topics
from app.domain.model.events import ResultEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import ResultTail

_POLL_MS = 1_000
_AFTER_AN_ERROR = 1.0
_log = logging.getLogger(__name__)


class KafkaResultTail(ResultTail):
    """Listens on one consumer from the moment it is ready; a second listener is a second tail."""

    def __init__(self, connection: KafkaConnection, topics: Topics) -> None:
        self._connection = connection
        self._topic = topics.results
        self._codec = Codec(topics)
        self._consumer: AIOKafkaConsumer | None = None
        self._positions: dict[TopicPartition, int] = {}

    async def ready(self) -> None:
        """Return once everything appended from now on will be heard."""
        while self._consumer is None:
            consumer = AIOKafkaConsumer(**self._connection.consumer_settings())
            try:
                await self._go_to_the_end(consumer)
            except (KafkaError, IllegalStateError, OSError, TimeoutError) as error:
                await consumer.stop()
                _log.warning("cannot listen to %s yet, trying again: %r", self._topic, error)
                await asyncio.sleep(_AFTER_AN_ERROR)
            except BaseException:
                await consumer.stop()
                raise
            else:
                self._consumer = consumer

    async def results(self, wanted: Callable[[TaskId], bool]) -> AsyncIterator[ResultEvent]:
        await self.ready()
        consumer = self._consumer
        assert consumer is not None  # noqa: S101  # `ready` made it
        try:
            while True:
                try:
                    records: Records = await consumer.getmany(timeout_ms=_POLL_MS)
                    if consumer.assignment() != self._positions.keys():
                        self._go_on(consumer)
                        continue
                except (KafkaError, IllegalStateError) as error:
                    _log.warning("reading %s failed, trying again: %r", self._topic, error)
                    await asyncio.sleep(_AFTER_AN_ERROR)
                    self._go_on(consumer)  # what was read of other partitions is gone
                    continue
                if not records:
                    self._begin_anew(consumer)
                for partition, batch in records.items():
                    following = batch[-1].offset + 1
                    self._positions[partition] = max(following, self._positions[partition])
                    for record in batch:
                        if not wanted(_task_id(record)):
                            continue  # most are nobody's: spare reading them
                        event = self._codec.event(record)
                        if isinstance(event, ResultEvent):
                            yield event
        finally:
            self._consumer = None
            await consumer.stop()

    async def _go_to_the_end(self, consumer: AIOKafkaConsumer) -> None:
        consumer.subscribe([self._topic])
        await consumer.start()
        self._positions = await ends_of(consumer, consumer.assignment(), self._connection)
        self._seek(consumer)

    def _go_on(self, consumer: AIOKafkaConsumer) -> None:
        """Go on from where we are, and with partitions that were added from their start."""
        assigned = consumer.assignment()
        self._positions = {name: self._positions.get(name, 0) for name in assigned}
        self._seek(consumer)

    def _begin_anew(self, consumer: AIOKafkaConsumer) -> None:
        for name, position in self._positions.items():
            if began_anew(consumer, name, position, self._connection):
                self._positions[name] = 0
                consumer.seek(name, 0)

    def _seek(self, consumer: AIOKafkaConsumer) -> None:
        for partition, position in self._positions.items():
            consumer.seek(partition, position)


def _task_id(record: "ConsumerRecord[bytes, bytes]") -> TaskId:
    """Results are keyed by their task."""
    return TaskId((record.key or b"").decode("utf-8", "replace"))
