"""The fleet on Kafka: a compacted topic of one partition, keyed by worker, read by everybody."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

from app.adapters.kafka.codec import encode
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.notices import read_heartbeat
from app.adapters.kafka.producer import Producer
from app.adapters.kafka.topics import Topics
from app.adapters.kafka.whole_topic import WholeTopic
from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.ids import WorkerId
from app.ports.fleet import FleetFeed, Gone, Heard, Heartbeats
from app.ports.task_queue import Undecodable

_log = logging.getLogger(__name__)


class KafkaHeartbeats(Heartbeats):
    def __init__(self, producer: Producer, topics: Topics) -> None:
        self._producer = producer
        self._topic = topics.workers

    async def send(self, heartbeat: WorkerHeartbeat) -> None:
        key, value, headers = encode(heartbeat)
        await (await self._producer.send(self._topic, key=key, value=value, headers=headers))

    async def withdraw(self, worker_id: WorkerId) -> None:
        key = worker_id.encode()
        await (await self._producer.send(self._topic, key=key, value=None, headers=[]))


class KafkaFleetFeed(FleetFeed):
    def __init__(self, connection: KafkaConnection, topics: Topics) -> None:
        self._topic = WholeTopic(connection, topics.workers)

    async def heard(self) -> AsyncIterator[Heard]:
        async with aclosing(self._topic.batches()) as batches:
            async for records in batches:
                live = self._topic.has_caught_up
                for record in records:
                    if record.value is None:
                        worker_id = (record.key or b"").decode("utf-8", "replace")
                        yield Heard(Gone(WorkerId(worker_id)), live)
                        continue
                    word = read_heartbeat(record)
                    if isinstance(word, WorkerHeartbeat):
                        yield Heard(word, live)
                    elif isinstance(word, Undecodable):
                        where = record.topic, record.offset
                        _log.warning("passed over %s@%d: %s", *where, word.detail)
