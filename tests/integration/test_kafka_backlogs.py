"""Backlogs on Kafka keep what backlogs promise, whatever the broker does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from app.adapters.kafka.backlogs import KafkaBacklogs, depth_of
from app.adapters.kafka.codec import encode
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.offsets import Snapshot
from app.adapters.kafka.provisioning import apply, plan
from app.adapters.kafka.record_counts import RecordCounts
from app.adapters.kafka.task_queue import KafkaTaskQueue
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.ids import AgentName
from app.ports.backlogs import Backlogs, Depth
from app.ports.event_log import LogUnavailable
from app.ports.task_queue import Delivery
from tests.builders import ANALYST, submitted
from tests.contracts.backlogs import BacklogsContract
from tests.contracts.task_queue import Tasks, id_of, running
from tests.integration.test_kafka_task_queue import OnKafka, tasks_on_kafka
from tests.waiting import until, until_true

__all__ = ["tasks_on_kafka"]


@pytest.mark.kafka
class TestKafkaBacklogs(BacklogsContract):
    @pytest.fixture
    def tasks(self, tasks_on_kafka: OnKafka) -> Tasks:
        return tasks_on_kafka

    @pytest.fixture
    async def backlogs(self, tasks_on_kafka: OnKafka) -> AsyncIterator[Backlogs]:
        topics = tasks_on_kafka.topics
        connection, group = tasks_on_kafka.connection, f"{topics.prefix}.workers"
        async with KafkaBacklogs(connection, topics, group) as early:
            # a new broker makes its topic of commits when it is first asked for one
            await until_true(lambda: can_be_told(early), within=30)
        async with KafkaBacklogs(connection, topics, group) as backlogs:
            yield backlogs

    async def test_many_agents_are_looked_at_in_time(
        self, tasks_on_kafka: OnKafka, backlogs: Backlogs
    ) -> None:
        connection, topics = tasks_on_kafka.connection, tasks_on_kafka.topics
        agents = [(f"agent-{number}", ["rules", "crewai"]) for number in range(20)]
        await apply(connection, await plan(connection, topics, agents))
        assert {name for name, _ in agents} <= (await backlogs.look()).keys()

    async def test_records_are_counted_and_not_what_transactions_leave_beside_them(
        self, tasks_on_kafka: OnKafka, backlogs: Backlogs
    ) -> None:
        async with in_transactions(tasks_on_kafka) as send:
            for i in range(3):
                await send([submitted(f"t-{i}")])
            for i in range(50):
                await send([submitted(f"aborted {i}")], abort=True)
            assert (await backlogs.look())[ANALYST].open == 3
            await send([submitted(f"t-{i}") for i in range(3, 6)])
            assert (await backlogs.look())[ANALYST].open == 6
        seen: list[str] = []

        async def note(delivery: Delivery) -> None:
            seen.append(id_of(delivery))

        async def nothing_waits() -> bool:
            return (await backlogs.look())[ANALYST].open == 0

        queue = tasks_on_kafka.queue(slots=10)
        assert isinstance(queue, KafkaTaskQueue)

        async def nothing_lags() -> bool:
            return {share.lag for share in await queue.shares()} == {0}

        async with running(queue, note):
            await until(lambda: len(seen) == 6)
            await until_true(nothing_waits)
            async with in_transactions(tasks_on_kafka) as send:
                await send([submitted("aborted")], abort=True)
            await until_true(nothing_waits)
            await until_true(nothing_lags)
        assert len(seen) == 6

    async def test_a_topic_that_no_agent_can_have_is_told_with_what_waits_there(
        self, tasks_on_kafka: OnKafka, backlogs: Backlogs
    ) -> None:
        topic = f"{tasks_on_kafka.topics.prefix}.commands.A.b.c"
        admin = AIOKafkaAdminClient(**tasks_on_kafka.connection.admin_settings())
        await admin.start()
        await admin.create_topics([NewTopic(topic, 1, 1)])
        await admin.close()
        for _ in range(2):
            await tasks_on_kafka.producer.send_and_wait(topic, b"{}")
        await tasks_on_kafka.put(submitted("t-1"))

        async def told() -> bool:
            assert (await backlogs.look())[ANALYST].open == 1
            waiting = backlogs.topics()
            ours = tasks_on_kafka.topics.commands(ANALYST)
            return (waiting.get(topic), waiting.get(ours)) == (2, 1)

        await until_true(told, within=30)

    async def test_what_retention_has_deleted_does_not_wait(
        self, tasks_on_kafka: OnKafka, backlogs: Backlogs
    ) -> None:
        for i in range(10):
            await tasks_on_kafka.put(submitted(f"t-{i}"))
        assert (await backlogs.look())[ANALYST].open == 10
        admin = AIOKafkaAdminClient(**tasks_on_kafka.connection.admin_settings())
        await admin.start()
        name = TopicPartition(tasks_on_kafka.topics.commands(ANALYST), 0)
        await admin.delete_records({name: RecordsToDelete(before_offset=7)})
        await admin.close()
        assert (await backlogs.look())[ANALYST].open == 3

    async def test_what_compaction_has_deleted_does_not_wait(self, tasks_on_kafka: OnKafka) -> None:
        connection, topics = tasks_on_kafka.connection, tasks_on_kafka.topics
        topic = topics.commands("compacted")
        admin = AIOKafkaAdminClient(**connection.admin_settings())
        await admin.start()
        often = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"}
        often |= {"segment.ms": "100", "max.compaction.lag.ms": "100"}
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=often)])
        await admin.close()
        producer = tasks_on_kafka.producer

        for i in range(200):
            await producer.send_and_wait(topic, b"{}", key=f"key {i % 5}".encode())
        group = f"{topics.prefix}.workers"

        async def compacted_and_counted() -> bool:
            await producer.send_and_wait(topic, b"{}", key=b"key 0")  # an old segment is closed
            held = len(await read_all(connection, topic))
            async with KafkaBacklogs(connection, topics, group) as backlogs:
                return (await backlogs.look())[AgentName("compacted")].open == held < 100

        await until_true(compacted_and_counted, within=90)

    async def test_a_long_backlog_is_counted_before_it_is_read_to_its_end(
        self, tasks_on_kafka: OnKafka
    ) -> None:
        connection, topics = tasks_on_kafka.connection, tasks_on_kafka.topics
        async with in_transactions(tasks_on_kafka) as send:
            for i in range(0, 300, 3):
                await send([submitted(f"t-{i}")])
        name = TopicPartition(topics.commands(ANALYST), 0)
        consumer = AIOKafkaConsumer(**connection.consumer_settings())
        await consumer.start()
        consumer.assign([name])
        consumer.pause(name)
        end = (await consumer.end_offsets([name]))[name]
        few = RecordCounts(consumer, ahead=10)
        assert end == 200
        assert 95 <= (await few.between({name: (0, end)}, 5))[name] <= 105
        assert (await RecordCounts(consumer).between({name: (100, end)}, 5))[name] == 50
        await consumer.stop()


@asynccontextmanager
async def in_transactions(
    tasks: OnKafka,
) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Sends each batch in a transaction of its own."""
    settings = tasks.connection.producer_settings()
    producer = AIOKafkaProducer(**settings, transactional_id=tasks.topics.prefix)
    await producer.start()

    async def send(commands: list[SubmitTask], *, abort: bool = False) -> None:
        await producer.begin_transaction()
        for command in commands:
            key, value, headers = encode(command)
            await producer.send_and_wait(tasks.topics.of(command), value, key=key, headers=headers)
        await (producer.abort_transaction() if abort else producer.commit_transaction())

    yield send
    await producer.stop()


async def read_all(connection: KafkaConnection, topic: str) -> list[object]:
    consumer = AIOKafkaConsumer(topic, **connection.consumer_settings())
    await consumer.start()
    name = TopicPartition(topic, 0)
    end, records = (await consumer.end_offsets([name]))[name], []
    while await consumer.position(name) < end:
        for batch in (await consumer.getmany(timeout_ms=100)).values():
            records += batch
    await consumer.stop()
    return records


async def can_be_told(backlogs: Backlogs) -> bool:
    try:
        await backlogs.look()
    except LogUnavailable:
        return False
    return True


async def test_a_broker_that_is_away_is_said() -> None:
    nobody = KafkaConnection("127.0.0.1:1")
    async with KafkaBacklogs(nobody, Topics(), "crewline.workers") as backlogs:
        for _ in range(2):
            with pytest.raises(LogUnavailable):
                await backlogs.look()


@pytest.mark.parametrize(
    ("commit", "start", "end", "depth"),
    [
        (None, 0, 5, Depth(5, 0)),
        (None, 3, 5, Depth(2, 3)),  # three were deleted for their age
        (Snapshot(2, seen=2), 0, 5, Depth(3, 2)),
        (Snapshot(2, seen=6, done=0b1010), 0, 6, Depth(2, 4)),
        (Snapshot(2, seen=6, done=0b1010), 4, 6, Depth(1, 5)),
        (Snapshot(9, seen=9), 0, 5, Depth(5, 0)),  # the topic was made anew
    ],
)
def test_what_is_done_ahead_of_the_position_does_not_wait(
    commit: Snapshot | None, start: int, end: int, depth: Depth
) -> None:
    assert depth_of(commit, start, end) == depth
