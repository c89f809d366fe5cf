"""The queue on Kafka: the contract, and what a topic may hold that is no task."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.adapters.kafka.codec import encode
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.engine import Limits
from app.adapters.kafka.task_queue import KafkaTaskQueue, Subscription
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.ports.task_queue import Again, Delivery, Handle, TaskQueue, Undecodable
from tests.builders import ANALYST, DEVELOPER
from tests.contracts.task_queue import TaskQueueContract, Tasks, running
from tests.waiting import until

pytestmark = pytest.mark.kafka


class OnKafka(Tasks):
    def __init__(self, servers: str, prefix: str, *, embedded: bool = False) -> None:
        self.topics = Topics(prefix)
        self.connection = KafkaConnection(servers, embedded=embedded)
        self.producer: AIOKafkaProducer

    async def start(self) -> None:
        admin = AIOKafkaAdminClient(**self.connection.admin_settings())
        await admin.start()
        places = (self.topics.commands, self.topics.urgent)
        names = [place(ANALYST, runtime) for place in places for runtime in (None, "rules")]
        names.append(self.topics.commands(DEVELOPER))
        await admin.create_topics([NewTopic(name, 1, 1) for name in names])
        await admin.close()
        self.producer = AIOKafkaProducer(**self.connection.producer_settings())
        await self.producer.start()

    async def put(self, command: SubmitTask) -> None:
        key, value, headers = encode(command)
        await self.producer.send_and_wait(self.topics.of(command), value, key=key, headers=headers)

    def queue(self, slots: int, urgent_slots: int = 0, *, worker: str = "worker-1") -> TaskQueue:
        return KafkaTaskQueue(
            self.connection,
            self.topics,
            Subscription(agents=[], runtimes=[RuntimeName("rules")]),
            group=f"{self.topics.prefix}.workers",
            worker_id=WorkerId(worker),
            limits=Limits(
                slots=slots, buffer=max(slots * 2, 8), urgent_slots=urgent_slots, backoff=0.05
            ),
        )


@pytest.fixture
async def tasks_on_kafka(kafka: str, topic_prefix: str) -> AsyncIterator[OnKafka]:
    tasks = OnKafka(kafka, topic_prefix)
    await tasks.start()
    yield tasks
    await tasks.producer.stop()


class TestKafkaTaskQueue(TaskQueueContract):
    long = 10.0

    @pytest.fixture
    def tasks(self, tasks_on_kafka: OnKafka) -> Tasks:
        return tasks_on_kafka


NO_TASKS = {
    "empty": b"",
    "invalid UTF-8": b'{"input": "\xff"}',
    "no JSON": b"input=hello",
    "no object": b"[1, 2]",
    "no input": b"{}",
    "a wrong type": b'{"input": 7}',
    "another agent": b'{"input": "x", "agent": "developer"}',
}


async def test_what_is_no_task_is_delivered_as_such_and_the_queue_goes_on(
    tasks_on_kafka: OnKafka,
) -> None:
    topic = tasks_on_kafka.topics.commands(ANALYST)
    for value in NO_TASKS.values():
        await tasks_on_kafka.producer.send_and_wait(topic, value, key=b"key")
    await tasks_on_kafka.producer.send_and_wait(topic, None, key=b"key")
    await tasks_on_kafka.producer.send_and_wait(topic, b'{"input": "x"}', key=b"key")
    seen: list[Delivery] = []

    async def note(delivery: Delivery) -> None:
        seen.append(delivery)

    async with running(tasks_on_kafka.queue(slots=1), note):
        await until(lambda: len(seen) == len(NO_TASKS) + 1)
    *refused, last = seen
    assert [delivery.origin.value for delivery in refused] == list(NO_TASKS.values())
    assert all(isinstance(delivery.content, Undecodable) for delivery in refused)
    assert isinstance(last.content, SubmitTask)


async def test_a_worker_reads_its_runtimes_topics_and_unknown_agents(
    tasks_on_kafka: OnKafka,
) -> None:
    topics = tasks_on_kafka.topics
    admin = AIOKafkaAdminClient(**tasks_on_kafka.connection.admin_settings())
    await admin.start()
    for name in (topics.commands(ANALYST, "crewai"), topics.commands("stranger")):
        await admin.create_topics([NewTopic(name, 1, 1)])
        await tasks_on_kafka.producer.send_and_wait(name, b'{"input": "x"}')
    await admin.close()
    named = topics.commands(ANALYST, "rules")
    await tasks_on_kafka.producer.send_and_wait(named, b'{"input": "x"}')
    seen: list[str] = []

    async def note(delivery: Delivery) -> None:
        seen.append(delivery.origin.topic)

    async with running(tasks_on_kafka.queue(slots=2), note):
        await until(lambda: len(seen) == 2)
        await asyncio.sleep(0.3)  # room for a delivery that must not come
    assert sorted(seen) == sorted([named, topics.commands("stranger")])


async def test_a_worker_that_comes_back_under_its_id_has_its_work_at_once(
    tasks_on_kafka: OnKafka,
) -> None:
    loop = asyncio.get_running_loop()
    for turn in range(3):
        seen: list[float] = []

        async def note(_: Delivery, seen: list[float] = seen) -> None:
            seen.append(loop.time())

        topic = tasks_on_kafka.topics.commands(ANALYST)
        await tasks_on_kafka.producer.send_and_wait(topic, b'{"input": "x"}')
        began = loop.time()
        async with running(tasks_on_kafka.queue(slots=1), note):
            await until(lambda seen=seen: len(seen) == 1)  # type: ignore[misc]
        if turn:  # the first one makes the group
            assert seen[0] - began < 6  # a session takes ten to run out


@pytest.mark.parametrize(
    ("topic", "read"),
    [
        ("t.commands.mine", True),
        ("t.commands.mine.rules", True),
        ("t.commands.mine.crewai", False),
        ("t.commands.unheard-of", True),
        ("t.commands.theirs", False),
        ("t.commands.theirs.rules", False),
        ("t.commands.theirs-too", True),
        ("t.urgent.mine.rules", True),
        ("t.urgent.mine.crewai", False),
        ("t.urgent.theirs", False),
        ("t.results", False),
    ],
)
def test_tasks_a_worker_cannot_run_are_left_to_those_that_can(topic: str, read: bool) -> None:
    ours = Subscription([], [RuntimeName("rules")], others=[AgentName("theirs")])
    assert bool(re.match(ours.pattern(Topics("t")), topic)) is read


async def spread_out(tasks: OnKafka) -> None:
    """Put one task on each of the six partitions of a topic."""
    topic = f"{tasks.topics.prefix}.commands.spread"
    admin = AIOKafkaAdminClient(**tasks.connection.admin_settings())
    await admin.start()
    await admin.create_topics([NewTopic(topic, 6, 1)])
    await admin.close()
    for partition in range(6):
        await tasks.producer.send_and_wait(topic, b'{"input": "x"}', partition=partition)


async def test_a_wait_for_the_next_run_goes_on_where_its_task_goes(tasks_on_kafka: OnKafka) -> None:
    await spread_out(tasks_on_kafka)
    due: dict[int, float] = {}
    again: dict[int, tuple[str, float]] = {}

    def worker(name: str) -> Handle:
        async def work(delivery: Delivery) -> None:
            partition = delivery.origin.partition
            if delivery.wait:
                raise Again(delivery.wait, counted=False)
            if delivery.attempt == 1:
                due[partition] = time.monotonic() + 12
                raise Again(12)
            again[partition] = name, time.monotonic()

        return work

    first = tasks_on_kafka.queue(slots=6, worker="worker-1")
    second = tasks_on_kafka.queue(slots=6, worker="worker-2")
    async with running(first, worker("first")):
        await until(lambda: len(due) == 6)
        async with running(second, worker("second")):
            await until(lambda: len(again) == 6)
    assert {name for name, _ in again.values()} == {"first", "second"}
    assert all(at >= due[partition] for partition, (_, at) in again.items())


async def test_a_new_worker_interrupts_no_more_than_its_share(tasks_on_kafka: OnKafka) -> None:
    await spread_out(tasks_on_kafka)
    begun: list[tuple[str, int]] = []

    def worker(name: str) -> Handle:
        async def work(delivery: Delivery) -> None:
            begun.append((name, delivery.attempt))
            await asyncio.sleep(600)

        return work

    first = tasks_on_kafka.queue(slots=6, worker="worker-1")
    second = tasks_on_kafka.queue(slots=6, worker="worker-2")
    async with running(first, worker("first"), grace=0):
        await until(lambda: len(begun) == 6)
        async with running(second, worker("second"), grace=0):
            await until(lambda: len(begun) > 6)
            await asyncio.sleep(0.5)  # room for runs that must not begin
            again = begun[6:]
            assert set(again) == {("second", 2)}
            assert len(again) <= 5  # half of the ten partitions there are
