"""The engine's promises on real Kafka: many at once, each acknowledged by itself."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.engine import Claim, Engine, Handler, Limits
from app.adapters.kafka.group_offsets import GroupOffsets
from app.adapters.kafka.offsets import Tries
from tests.integration.on_kafka import send_foreign_name
from tests.integration.own_time import own_time
from tests.waiting import until, until_true

pytestmark = pytest.mark.kafka

StartEngine = Callable[..., AbstractAsyncContextManager[Engine]]


@pytest.fixture
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def topic(admin: AIOKafkaAdminClient, topic_prefix: str) -> str:
    name = f"{topic_prefix}.jobs"
    await admin.create_topics([NewTopic(name, 1, 1)])
    return name


@pytest.fixture
async def produce(
    kafka: str, topic: str
) -> AsyncIterator[Callable[[dict[str, str | None]], Awaitable[None]]]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()

    async def send(records: dict[str, str | None]) -> None:
        for value, key in records.items():
            await producer.send(topic, value.encode(), key=key.encode() if key else None)
        await producer.flush()

    yield send
    await producer.stop()


@pytest.fixture
def engine(kafka: str, topic: str, admin: AIOKafkaAdminClient) -> StartEngine:
    @asynccontextmanager
    async def start(
        handler: Handler, limits: Limits | None = None, grace: float = 5, **settings: object
    ) -> AsyncIterator[Engine]:
        group = f"{topic}.group"
        options = KafkaConnection(kafka).consumer_settings() | {"group_id": group} | settings
        consumer = AIOKafkaConsumer(**options)
        engine = Engine(
            consumer, GroupOffsets(admin, group), limits or Limits(slots=64, buffer=128)
        )
        consumer.subscribe([topic], listener=engine.assignment)
        await consumer.start()
        running = asyncio.create_task(engine.run(handler))
        try:
            yield engine
        finally:
            await engine.stop(grace)
            await running
            await consumer.stop()

    return start


def value_of(claim: Claim) -> str:
    assert claim.record.value is not None
    return str(claim.record.value, "utf-8")


async def test_64_one_second_tasks_on_one_partition_take_little_more_than_a_second(
    engine: StartEngine, produce: Callable[..., Awaitable[None]]
) -> None:
    ended: list[float] = []

    async def sleep(claim: Claim) -> None:
        await asyncio.sleep(1)
        ended.append(passed())

    async with own_time() as passed, engine(sleep) as running:
        await until(running.healthy)
        began = passed()
        await produce({f"task {i}": f"key {i}" for i in range(64)})
        await until(lambda: len(ended) == 64)
    assert max(ended) - began < 1.3


async def test_a_handler_longer_than_the_poll_interval_causes_no_rebalance(
    engine: StartEngine, produce: Callable[..., Awaitable[None]]
) -> None:
    runs: list[int] = []
    ended: list[str] = []

    async def outlast(claim: Claim) -> None:
        runs.append(claim.tries.starts)
        if len(runs) <= full.slots:
            await asyncio.sleep(8)
        ended.append(value_of(claim))

    full = Limits(slots=4, buffer=4)
    settings = {
        "max_poll_interval_ms": 4_000,
        "session_timeout_ms": 6_000,
        "heartbeat_interval_ms": 300,
    }
    await produce({f"task {i}": None for i in range(8)})
    async with engine(outlast, full, **settings):
        await until(lambda: len(ended) == 8)
    assert runs == [1] * 8
    assert len(set(ended)) == 8


async def test_one_key_keeps_its_order_through_failures_and_others_do_not_wait(
    engine: StartEngine, produce: Callable[..., Awaitable[None]]
) -> None:
    order: defaultdict[bytes | None, list[int]] = defaultdict(list)
    chance = random.Random(3)

    async def sometimes_fail(claim: Claim) -> None:
        await asyncio.sleep(chance.random() * 0.05)
        if claim.tries.starts == 1 and chance.random() < 0.2:
            raise RuntimeError("not this time")
        order[claim.record.key].append(int(value_of(claim)))

    limits = Limits(slots=32, buffer=64, backoff=0.05)
    await produce({str(i): f"key {i % 6}" for i in range(60)})
    async with engine(sometimes_fail, limits):
        await until(lambda: sum(map(len, order.values())) == 60)
    assert all(values == sorted(values) for values in order.values())


async def test_a_restart_runs_the_interrupted_again_and_none_of_the_finished(
    engine: StartEngine, produce: Callable[..., Awaitable[None]]
) -> None:
    finished: list[str] = []
    running: set[str] = set()
    again: dict[str, int] = {}

    async def finish_some(claim: Claim) -> None:
        if int(value_of(claim)) % 3 == 0:
            running.add(value_of(claim))
            await asyncio.sleep(600)
        finished.append(value_of(claim))

    async def note(claim: Claim) -> None:
        again[value_of(claim)] = claim.tries.starts

    await produce({str(i): None for i in range(40)})
    async with engine(finish_some, grace=0):
        await until(lambda: len(finished) == 26 and len(running) == 14)
    async with engine(note):
        await until(lambda: len(again) == 14)
    assert set(again) == running
    assert set(again.values()) == {2}


async def test_draining_lets_what_runs_finish_and_starts_nothing_new(
    engine: StartEngine, produce: Callable[..., Awaitable[None]]
) -> None:
    started: list[str] = []
    finished: list[str] = []

    async def work(claim: Claim) -> None:
        started.append(value_of(claim))
        await asyncio.sleep(0.5)
        finished.append(value_of(claim))

    await produce({str(i): None for i in range(20)})
    async with engine(work, Limits(slots=4, buffer=8)):
        await until(lambda: len(started) == 4)
    assert finished == started
    assert len(started) == 4


async def test_what_a_partition_loses_is_stopped_and_runs_at_its_new_owner(
    kafka: str, admin: AIOKafkaAdminClient, engine: StartEngine, topic: str
) -> None:
    await admin.create_partitions({topic: NewPartitions(2)})
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    for partition in (0, 1):
        await producer.send_and_wait(topic, str(partition).encode(), partition=partition)
    await producer.stop()
    begun: list[tuple[str, str, int]] = []
    stopped: list[tuple[str, str]] = []

    def worker(name: str) -> Handler:
        async def work(claim: Claim) -> None:
            begun.append((name, value_of(claim), claim.tries.starts))
            try:
                await asyncio.sleep(600)
            finally:
                assert claim.lost.is_set() or done
                stopped.append((name, value_of(claim)))

        return work

    done = False
    async with engine(worker("first"), grace=0):
        await until(lambda: len(begun) == 2)
        async with engine(worker("second"), grace=0):
            await until(lambda: len(begun) == 3 and len(stopped) == 1)
            name, value, attempt = begun[2]
            assert (name, attempt) == ("second", 2)
            assert stopped == [("first", value)]
            done = True


async def test_a_topic_made_anew_is_read_from_its_start(
    admin: AIOKafkaAdminClient,
    engine: StartEngine,
    topic: str,
    produce: Callable[..., Awaitable[None]],
) -> None:
    seen: list[str] = []

    async def note(claim: Claim) -> None:
        seen.append(value_of(claim))

    await produce({f"old {i}": None for i in range(5)})
    async with engine(note):
        await until(lambda: len(seen) == 5)
    await admin.delete_topics([topic])

    async def gone() -> bool:
        return topic not in await admin.list_topics()

    await until_true(gone)
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await produce({"new": None})
    async with engine(note):
        await until(lambda: seen[5:] == ["new"])


async def test_progress_is_committed_while_work_goes_on(
    admin: AIOKafkaAdminClient,
    engine: StartEngine,
    topic: str,
    produce: Callable[..., Awaitable[None]],
) -> None:
    finished: list[str] = []

    async def work(claim: Claim) -> None:
        if value_of(claim) == "0":
            await asyncio.sleep(600)
        finished.append(value_of(claim))

    committed = GroupOffsets(admin, f"{topic}.group")
    partition = TopicPartition(topic, 0)
    await produce({str(i): None for i in range(10)})
    async with engine(work, grace=0):
        await until(lambda: len(finished) == 9)

        async def all_but_the_first_done() -> bool:
            snapshot = (await committed([partition])).get(partition)
            return snapshot is not None and all(snapshot.is_done(i) for i in range(1, 10))

        await until_true(all_but_the_first_done)
        snapshot = (await committed([partition]))[partition]
        assert (snapshot.position, dict(snapshot.running)) == (0, {0: Tries(1, 0, 1)})


async def test_a_header_with_a_name_that_is_no_text_stops_nothing(
    kafka: str,
    engine: StartEngine,
    topic: str,
    produce: Callable[..., Awaitable[None]],
) -> None:
    seen: list[str] = []

    async def note(claim: Claim) -> None:
        seen.append(value_of(claim))

    await produce({"before": None})
    await send_foreign_name(KafkaConnection(kafka), topic, [b"same batch", b"foreign", b"behind"])
    await produce({"after": None})
    async with engine(note):
        await until(lambda: len(seen) == 5)
    assert sorted(seen) == ["after", "before", "behind", "foreign", "same batch"]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_whichever_way_a_producer_compresses_is_read(
    kafka: str, engine: StartEngine, topic: str, compression: str
) -> None:
    seen: list[str] = []

    async def note(claim: Claim) -> None:
        seen.append(value_of(claim))

    async with AIOKafkaProducer(bootstrap_servers=kafka, compression_type=compression) as producer:
        await producer.send_and_wait(topic, b"packed")
    async with engine(note):
        await until(lambda: seen == ["packed"])


async def test_aborted_records_behind_a_long_task_stop_nothing(
    engine: StartEngine, kafka: str, topic: str
) -> None:
    go_on, seen = asyncio.Event(), list[str]()

    async def take_long(claim: Claim) -> None:
        seen.append(value_of(claim))
        if seen[-1] == "long":
            await go_on.wait()

    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic)
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"long")
    for _ in range(5):
        await producer.begin_transaction()
        await asyncio.gather(*[await producer.send(topic, b"aborted") for _ in range(100)])
        await producer.abort_transaction()
    few = Limits(slots=4, buffer=8, window=50)
    async with engine(take_long, few):
        for number in range(100):
            async with producer.transaction():
                await producer.send_and_wait(topic, b"%d" % number)
        await until(lambda: len(seen) >= 50)
        await asyncio.sleep(0.5)  # room for more than the window, which must not be read
        assert len(seen) < 50 + few.buffer
        go_on.set()
        await until(lambda: len(seen) == 101)
    await producer.stop()
    assert sorted(seen) == sorted(["long", *map(str, range(100))])
