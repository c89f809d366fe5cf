"""How much waits on the command topics: their ends, and what the workers committed as done."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.group_offsets import GroupOffsets
from app.adapters.kafka.offsets import Snapshot
from app.adapters.kafka.record_counts import RecordCounts
from app.adapters.kafka.topics import Topics
from app.domain.model.ids import AgentName
from app.ports.backlogs import Backlogs, Depth
from app.ports.event_log import LogUnavailable

_TO_ANSWER = 5.0
_TO_COUNT = 0.5
_NEW_TOPICS_AFTER = 10.0


class KafkaBacklogs(Backlogs):
    """Connects at the first look; leaving its context closes it."""

    def __init__(self, connection: KafkaConnection, topics: Topics, group: str) -> None:
        self._connection = connection
        self._topics = topics
        self._group = group
        self._partitions: dict[TopicPartition, AgentName | None] = {}
        self._waiting: Mapping[str, int] = {}
        self._partitions_at: float | None = None
        self._clients: tuple[AIOKafkaAdminClient, AIOKafkaConsumer] | None = None
        self._counts: RecordCounts | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def look(self) -> Mapping[AgentName, Depth]:
        try:
            async with asyncio.timeout(_TO_ANSWER):
                return await self._look()
        except (KafkaError, OSError, TimeoutError) as error:
            await self._close()
            raise LogUnavailable("how much waits cannot be read now") from error

    def topics(self) -> Mapping[str, int]:
        return self._waiting

    async def _look(self) -> Mapping[AgentName, Depth]:
        admin, consumer = await self._connected()
        await self._find_topics(admin, consumer)
        names = list(self._partitions)
        if not names:
            return {}
        commits, starts, ends = await asyncio.gather(
            GroupOffsets(admin, self._group)(names),
            consumer.beginning_offsets(names),
            consumer.end_offsets(names),
        )
        unread = {
            name: (_unread_from(commits.get(name), starts[name], ends[name]), ends[name])
            for name in names
        }
        records = await self._count({name: (a, b) for name, (a, b) in unread.items() if a < b})
        found: defaultdict[AgentName, list[Depth]] = defaultdict(list)
        waiting: Counter[str] = Counter()
        for name, agent in self._partitions.items():
            start, end = starts[name], ends[name]
            depth = depth_of(commits.get(name), start, end, records.get(name))
            waiting[name.topic] += depth.open
            if agent is not None:
                found[agent].append(depth)
        self._waiting = waiting
        return {
            agent: Depth(sum(each.open for each in depths), sum(each.done for each in depths))
            for agent, depths in found.items()
        }

    async def _count(
        self, ranges: Mapping[TopicPartition, tuple[int, int]]
    ) -> Mapping[TopicPartition, int]:
        """How many records nobody has read yet; the embedded broker has no other offsets."""
        if self._counts is None or self._connection.embedded:
            return {}
        return await self._counts.between(ranges, _TO_COUNT)

    async def _find_topics(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        now = asyncio.get_running_loop().time()
        if self._partitions_at is not None and now - self._partitions_at < _NEW_TOPICS_AFTER:
            return
        names = {
            name: known.agent if (known := self._topics.read_command_topic(name)) else None
            for name in await admin.list_topics()
            if self._topics.is_below_commands(name)
        }
        described = await admin.describe_topics(list(names)) if names else []
        found = {
            TopicPartition(topic["topic"], each["partition"]): names[topic["topic"]]
            for topic in described
            for each in topic["partitions"]
        }
        if found.keys() - self._partitions.keys():
            # it reads none of them, but learns who leads them at once; else it asks topic by topic
            consumer.assign(list(found))
            consumer.pause(*found)
            self._counts = RecordCounts(consumer)
        self._partitions, self._partitions_at = found, now

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
        self._partitions, self._counts = {}, None
        if clients:
            admin, consumer = clients
            await consumer.stop()
            await admin.close()


def depth_of(commit: Snapshot | None, start: int, end: int, unread: int | None = None) -> Depth:
    """What is open between the start and the end of a partition, and what is done below the end.

    `unread` is the number of records that no worker has read; where it is not known, of offsets.
    """
    rest = _unread_from(commit, start, end)
    records = end - rest if unread is None else unread
    if commit is None or commit.position > end:  # nobody began, or its topic was made anew
        return Depth(records, start)
    position = min(max(commit.position, start), end)
    ahead = (commit.done >> (position - commit.position)).bit_count()
    # of what was read, all that is no open record is marked as done
    return Depth(max(rest - position - ahead, 0) + records, position + ahead)


def _unread_from(commit: Snapshot | None, start: int, end: int) -> int:
    """The offset from which on no worker has read."""
    if commit is None or commit.position > end:
        return start
    return min(max(commit.position, commit.seen, start), end)
