"""The log on Kafka, keyed by task."""

import asyncio
import logging
from collections.abc import Awaitable
from types import TracebackType
from typing import Self

from app.adapters.kafka.codec import encode
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.delay_queue import KafkaDelayQueue
from app.adapters.kafka.delays import KafkaDelays
from app.adapters.kafka.fleet import KafkaHeartbeats
from app.adapters.kafka.producer import Producer
from app.adapters.kafka.provisioning import max_message_bytes
from app.adapters.kafka.redelivery import KafkaRedelivery
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.errors import PlatformError
from app.domain.model.ids import WorkerId
from app.domain.model.messages import Message
from app.ports.delays import DelayQueue, Delays, Unwanted, nothing
from app.ports.event_log import EventLog
from app.ports.fleet import Heartbeats
from app.ports.redelivery import Redelivery

_OF_A_BATCH = 128
"""Bytes of a batch beside its only record, which count for the topic's limit."""
_log = logging.getLogger(__name__)


class KafkaEventLog(EventLog):
    """Writes commands and events; enter it before use, leaving it sends what is still waiting."""

    def __init__(
        self, connection: KafkaConnection, topics: Topics, *, deadline: float = 10.0
    ) -> None:
        self._connection = connection
        self._topics = topics
        self._producer = Producer(connection, deadline=deadline)
        self._results_take = connection.max_message_bytes

    async def __aenter__(self) -> Self:
        await self._producer.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._producer.__aexit__(kind, error, traceback)

    @property
    def largest_message(self) -> int:
        return min(self._connection.max_message_bytes, self._results_take)

    async def learn_limits(self) -> None:
        """Ask how much the topic of the results takes; where nobody says, as much as is set."""
        try:
            async with asyncio.timeout(self._connection.request_timeout):
                limits = await max_message_bytes(self._connection, [self._topics.results])
        except (PlatformError, TimeoutError) as error:
            _log.info("the largest message of the results is not known: %s", error)
            return
        if (limit := limits.get(self._topics.results)) is not None:
            self._results_take = limit - _OF_A_BATCH

    async def append(self, message: Message) -> Awaitable[None]:
        key, value, headers = encode(message)
        if isinstance(message, SubmitTask) and message.earlier.key is not None:
            key = message.earlier.key
        return await self._producer.send(
            self._topics.of(message), key=key, value=value, headers=headers
        )

    async def ping(self) -> None:
        """Return if a broker answers, else raise `LogUnavailable`."""
        await self._producer.ping()

    def heartbeats(self) -> Heartbeats:
        """Where a worker says that it lives, on the same connection."""
        return KafkaHeartbeats(self._producer, self._topics)

    def delays(self) -> Delays:
        """Where commands wait for their time, on the same connection."""
        return KafkaDelays(self._producer, self._topics)

    def delay_queue(self, worker_id: WorkerId, unwanted: Unwanted = nothing) -> DelayQueue:
        """This worker's share of what waits there."""
        return KafkaDelayQueue(
            self._connection, self._topics, self._producer, worker_id, unwanted=unwanted
        )

    def redelivery(self) -> Redelivery:
        """Sends dead letters' messages again, on the same connection."""
        return KafkaRedelivery(self._producer, self._topics)
