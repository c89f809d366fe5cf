"""Traces over a real broker: the context survives the headers, the wait is the record's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.engine import Limits
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.task_queue import KafkaTaskQueue, Subscription
from app.adapters.kafka.topics import Topics
from app.adapters.otel.provider import Telemetry
from tests.builders import ANALYST, RULES, TRACEPARENT, WORKER, submitted
from tests.otel_spans import Services
from tests.traced_platform import TracedPlatform
from tests.waiting import until

_, TRACE, SENDER, _ = TRACEPARENT.split("-")


@pytest.fixture
async def topics(kafka: str, topic_prefix: str) -> Topics:
    topics = Topics(topic_prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    names = (topics.commands(ANALYST), topics.results, topics.traces)
    await admin.create_topics([NewTopic(name, 1, 1) for name in names])
    await admin.close()
    return topics


@pytest.fixture
def services() -> Services:
    return Services()


@asynccontextmanager
async def working(kafka: str, topics: Topics, telemetry: Telemetry) -> AsyncIterator[None]:
    """A worker on Kafka, from its queue to its results."""
    platform = TracedPlatform(None, telemetry, None)
    queue = KafkaTaskQueue(
        KafkaConnection(kafka),
        topics,
        Subscription([ANALYST], [RULES]),
        group=f"{topics.prefix}.workers",
        worker_id=WORKER,
        limits=Limits(slots=4, buffer=8),
    )
    async with KafkaEventLog(KafkaConnection(kafka), topics) as log:
        handle = replace(platform.handle, log=telemetry.event_log(log, topics.of))
        running = asyncio.create_task(queue.run(handle))
        try:
            yield
        finally:
            await until(queue.healthy)
            await queue.stop(5)
            await running


async def test_a_task_over_kafka_is_one_trace(
    kafka: str, topics: Topics, services: Services
) -> None:
    gateway, worker = services.start("gateway"), services.start("worker")
    commands = topics.commands(ANALYST)
    async with KafkaEventLog(KafkaConnection(kafka), topics) as log:
        await gateway.event_log(log, topics.of).publish(submitted())
    async with working(kafka, topics, worker):
        await until(lambda: bool(services.named(f"process {commands}")))
    send = services.one(f"send {commands}")
    queued, process = services.one(f"queued {commands}"), services.one(f"process {commands}")
    assert queued.parent_id == process.parent_id == send.span_id
    assert process.links == (send.span_id,)
    assert process.attributes["crewline.task.state"] == "completed"
    assert send.start - 1_000_000 <= queued.start <= send.end  # when the record was made, in ms
    assert queued.end == process.start
    assert {span.trace_id for span in services.spans} == {send.trace_id}
    results = services.named(f"send {topics.results}")
    assert [span.parent_id for span in results] == [process.span_id] * 2


async def test_any_kafka_producer_may_bring_its_trace(
    kafka: str, topics: Topics, services: Services
) -> None:
    commands = topics.commands(ANALYST)
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    value = json.dumps({"input": "What is Kafka?"}).encode()
    for traceparent in (TRACEPARENT, "nonsense"):
        headers = [("traceparent", traceparent.encode())]
        await producer.send_and_wait(commands, value, headers=headers)
    await producer.stop()
    async with working(kafka, topics, services.start("worker")):
        await until(lambda: len(services.named(f"process {commands}")) == 2)
    joined, alone = sorted(
        services.named(f"process {commands}"),
        key=lambda span: str(span.attributes["messaging.kafka.offset"]),
    )
    assert (joined.trace_id, joined.parent_id) == (TRACE, SENDER)
    assert (alone.trace_id != TRACE, alone.parent_id) == (True, None)
    assert alone.attributes["crewline.task.state"] == "completed"
