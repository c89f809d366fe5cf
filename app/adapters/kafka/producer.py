"""Sends records: in order, durable before they are acknowledged, and never hanging."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Generator
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.partitioner import murmur2

from app.adapters.kafka.batches import TOO_LARGE, Batch, Batches, Headers, size_of
from app.adapters.kafka.connection import KafkaConnection
from app.domain.model.errors import PayloadTooLarge, PlatformError
from app.ports.event_log import LogUnavailable

log = logging.getLogger(__name__)


@lru_cache(maxsize=10_000)
def _hashed(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


def _partition(key: bytes | None, partitions: int) -> int:
    """The partition every other client would choose too; a task's key is hashed once only."""
    if key is None:
        return random.randrange(partitions)  # noqa: S311  # nothing secret
    return _hashed(key) % partitions


class Acknowledgement(Awaitable[None]):
    """Awaiting it returns once the record is durable; to stop waiting does not stop the record."""

    __slots__ = ("_batch", "_place", "_until")

    def __init__(self, batch: Batch, place: int, until: float) -> None:
        """`place` is the record's among those of its batch."""
        self._batch = batch
        self._place = place
        self._until = until

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        if not self._batch.over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._until):
                    await self._batch.over.wait()
        if not self._batch.over.is_set():
            raise LogUnavailable("Kafka has not acknowledged the message in time")
        if (error := self._batch.errors.get(self._place)) is not None:
            raise _translated(error) from error


class Producer:
    """One aiokafka producer, replaced when it cannot go on.

    It connects when it is entered or, where the brokers are away, at the next record. A record the
    broker refuses leaves a hole in an idempotent producer's numbering, after which its partition
    takes nothing more from it: a new producer does not have that past. What is refused for its
    size leaves none.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        deadline: float = 10.0,
        max_message_bytes: int | None = None,
    ) -> None:
        self._connection = connection
        self._max_message_bytes = max_message_bytes or connection.max_message_bytes
        self._deadline = deadline
        self._batches: Batches | None = None
        self._changing = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._deadline):
                await self._usable()
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("kafka is away, will connect with the next message: %s", error)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        async with self._changing:
            await self._stop()

    async def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None = None,
    ) -> Acknowledgement:
        """Take a record, in order; raise `PayloadTooLarge` or `LogUnavailable` where that fails."""
        if size_of(key, value, headers) > self._max_message_bytes:
            raise _too_large()
        until = asyncio.get_running_loop().time() + self._deadline
        try:
            batches = self._batches
            if batches is None or batches.failed or topic not in batches.partitions:
                async with asyncio.timeout_at(until):
                    batches = await self._usable()
                    await batches.learn(topic)
            if partition is None:
                partition = _partition(key, batches.partitions[topic])
            of_partition = batches.of(TopicPartition(topic, partition))
            batch = of_partition.add(key, value, headers)
            if batch is None:
                async with asyncio.timeout_at(until):
                    while (batch := of_partition.add(key, value, headers)) is None:
                        await of_partition.room()
        except UnknownTopicOrPartitionError as error:
            missing = f"the topic {topic} does not exist; `crewline topics apply` makes it"
            raise LogUnavailable(missing, retry_after=10) from error
        except TimeoutError as error:
            raise LogUnavailable(f"Kafka has not taken a message for {topic} in time") from error
        except (KafkaError, OSError) as error:
            raise _translated(error) from error
        return Acknowledgement(batch, len(batch.records) - 1, until)

    async def ping(self) -> None:
        """Return if a broker answers, else raise `LogUnavailable`."""
        try:
            async with asyncio.timeout(self._deadline):
                batches = await self._usable()
                answered = await batches.producer.client.force_metadata_update()
        except (KafkaError, OSError, TimeoutError) as error:
            raise LogUnavailable("no Kafka broker answers") from error
        if not answered:
            raise LogUnavailable("no Kafka broker answers")

    async def _usable(self) -> Batches:
        async with self._changing:
            if self._batches and self._batches.failed:
                await self._stop()
            if self._batches is None:
                settings = self._connection.producer_settings()
                self._batches = Batches(await _started(settings))
            return self._batches

    async def _stop(self) -> None:
        """Send what is still waiting, for a while, and close.

        What takes longer goes on by itself until the brokers have those records: to cut it short
        would leave its connections open and its loop running.
        """
        batches, self._batches = self._batches, None
        if batches is not None:
            stopping = asyncio.create_task(batches.close())
            self._leaving.add(stopping)
            stopping.add_done_callback(self._left)
            await asyncio.wait({stopping}, timeout=self._deadline)

    def _left(self, stopping: "asyncio.Task[None]") -> None:
        self._leaving.discard(stopping)
        if not stopping.cancelled() and (error := stopping.exception()):
            log.info("a producer was not closed cleanly: %r", error)


async def _started(settings: dict[str, Any]) -> Any:
    producer = AIOKafkaProducer(**settings)
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge("the message is larger than the broker takes")


def _translated(error: BaseException) -> PlatformError:
    if isinstance(error, TOO_LARGE):
        return _too_large()
    if isinstance(error, TopicAuthorizationFailedError):
        return LogUnavailable("Kafka does not let us write to this topic", retry_after=60)
    return LogUnavailable(f"Kafka has not taken the message ({type(error).__name__})")
