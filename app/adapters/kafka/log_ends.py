"""Where commands, results and dead letters end, to tell whether the views have read all."""

import asyncio
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.positions import ends_of
from app.adapters.kafka.topics import Topics
from app.ports.event_log import LogEnds, LogUnavailable, Offsets, Shard

_TO_ANSWER = 5.0
_NEW_TOPICS_AFTER = 1.0


class KafkaLogEnds(LogEnds):
    """Connects at the first look; leaving its context closes it. One asks at a time."""

    def __init__(self, connection: KafkaConnection, topics: Topics) -> None:
        self._connection = connection
        self._topics = topics
        self._partitions: set[TopicPartition] = set()
        self._partitions_at: float | None = None
        self._clients: tuple[AIOKafkaAdminClient, AIOKafkaConsumer] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def ends(self) -> Offsets:
        try:
            async with asyncio.timeout(_TO_ANSWER):
                return await self._look()
        except (KafkaError, IllegalStateError, OSError, TimeoutError) as error:
            await self._close()
            raise LogUnavailable("where the log ends cannot be read now") from error

    async def _look(self) -> Offsets:
        admin, consumer = await self._connected()
        await self._find_topics(admin, consumer)
        if not self._partitions:
            return {}
        if self._connection.embedded:  # it tells an end only to a reader that is new to it
            consumer.unsubscribe()
            consumer.assign(list(self._partitions))
        ends = await ends_of(consumer, self._partitions, self._connection)
        return {Shard(*name): end for name, end in ends.items()}

    async def _find_topics(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        now = asyncio.get_running_loop().time()
        if self._partitions_at is not None and now - self._partitions_at < _NEW_TOPICS_AFTER:
            return
        names = [name for name in await admin.list_topics() if self._tells_of_tasks(name)]
        described = await admin.describe_topics(names) if names else []
        found = {
            TopicPartition(topic["topic"], each["partition"])
            for topic in described
            for each in topic["partitions"]
        }
        if found - self._partitions and not self._connection.embedded:
            # it reads none of them, but learns who leads them at once; else it asks topic by topic
            consumer.assign(list(found))
            consumer.pause(*found)
        self._partitions, self._partitions_at = found, now

    def _tells_of_tasks(self, topic: str) -> bool:
        told = (self._topics.results, self._topics.dead_letters)
        return topic in told or bool(self._topics.read_command_topic(topic))

    async def _connected(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        if self._clients is None:
            admin = AIOKafkaAdminClient(**self._connection.admin_settings())
            consumer = AIOKafkaConsumer(**self._connection.consumer_settings())
            self._clients = admin, consumer
            await admin.start()
            await consumer.start()
        return self._clients

    async def _close(self) -> None:
        clients, self._clients, self._partitions_at = self._clients, None, None
        self._partitions = set()
        if clients:
            admin, consumer = clients
            await consumer.stop()
            await admin.close()
