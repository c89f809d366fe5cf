"""Dead letters that go back to where they came from on Kafka, and how the views hear of them."""

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaProducer

from app.adapters.kafka.codec import Codec
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.dead_letters import KafkaDeadLetters
from app.adapters.kafka.event_feed import KafkaEventFeed
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from app.ports.event_log import Recorded
from app.ports.redelivery import Redelivery, Resent
from tests.builders import ANALYST, TRACEPARENT, submitted, task_id
from tests.contracts.dead_letters import NOT_TEXT, letter
from tests.contracts.event_feed import Views
from tests.contracts.letter_store import discarded, redriven
from tests.contracts.redelivery import AGAIN, ReadCommand, RedeliveryContract, origin_of_task
from tests.integration.on_kafka import (
    PATIENCE,
    KafkaTopics,
    OnKafka,
    OnTheEmbeddedBroker,
    read_records,
)

STRUCTURED = [("content-type", b"application/cloudevents+json")]
ORDER = {
    "specversion": "1.0",
    "type": "crewline.task.submit.v1",
    "subject": "order-4711",
    "data": {"input": "What is Kafka?"},
}


class RedeliveryOnKafka(KafkaTopics, RedeliveryContract):
    @pytest.fixture
    def redelivery(self, log: KafkaEventLog) -> Redelivery:
        return log.redelivery()

    @pytest.fixture
    def origin(self, topics: Topics) -> Origin:
        return origin_of_task(topic=topics.commands(ANALYST))

    @pytest.fixture
    def read_command(self, connection: KafkaConnection, topics: Topics) -> ReadCommand:
        async def read() -> SubmitTask:
            there = [topics.commands(ANALYST), topics.commands(ANALYST, "rules")]
            (record,) = await read_records(connection, there, 1)
            command = Codec(topics).command(record)
            assert isinstance(command, SubmitTask), command
            return command

        return read

    async def test_bytes_that_are_no_task_go_back_as_they_are(
        self,
        redelivery: Redelivery,
        origin: Origin,
        connection: KafkaConnection,
    ) -> None:
        strange = (("a", NOT_TEXT), ("a", b""), ("traceparent", b"broken"))
        headers = (*strange, ("dlq-at", b"then"))
        no_task = replace(origin, key=NOT_TEXT, value=NOT_TEXT, headers=headers)
        await redelivery.send(no_task, Resent(task_id(), AGAIN, TRACEPARENT))
        (record,) = await read_records(connection, [origin.topic], 1)
        assert (record.key, record.value) == (NOT_TEXT, NOT_TEXT)
        assert record.headers[:3] == strange
        assert dict(record.headers[3:]) == {
            "ce_subject": task_id().encode(),
            "traceparent": TRACEPARENT.encode(),
            "crewline-attempts": b"2",
            "crewline-failures": b"0",
            "crewline-redrives": b"1",
            "crewline-redriven-at": b"2026-01-01T00:00:30.000Z",
        }

    async def test_a_task_known_by_its_place_alone_stays_the_same_task(
        self, redelivery: Redelivery, read_command: ReadCommand, origin: Origin
    ) -> None:
        plain = replace(origin, value=b'{"input": "What is Kafka?"}', key=None)
        await redelivery.send(plain, Resent(task_id(), AGAIN))
        command = await read_command()
        assert (command.id, command.input) == (task_id(), "What is Kafka?")

    async def test_so_does_one_whose_event_has_a_subject_of_its_own(
        self, redelivery: Redelivery, read_command: ReadCommand, origin: Origin
    ) -> None:
        value = json.dumps(ORDER).encode()
        order = replace(origin, value=value, key=None, headers=tuple(STRUCTURED))
        await redelivery.send(order, Resent(task_id(), AGAIN))
        command = await read_command()
        assert (command.id, command.input, command.earlier) == (task_id(), "What is Kafka?", AGAIN)

    async def test_another_runtime_reads_it_from_a_topic_of_its_own(
        self, redelivery: Redelivery, read_command: ReadCommand, topics: Topics
    ) -> None:
        crews = origin_of_task(topic=topics.commands(ANALYST, "crewai"))
        edited = submitted(runtime="rules")
        await redelivery.send(crews, Resent(task_id(), AGAIN, edited=edited))
        command = await read_command()
        assert (command.id, command.runtime, command.earlier) == (task_id(), "rules", AGAIN)

    async def test_the_views_hear_of_letters_and_of_what_is_done_about_them(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        producer = AIOKafkaProducer(**connection.producer_settings())
        await producer.start()
        stray = {"dlq-reason": b"bad", "dlq-topic": b"x"}
        await producer.send_and_wait(topics.dead_letters, b"stray", headers=list(stray.items()))
        await producer.send_and_wait(topics.dead_letters, b"{}")
        await producer.stop()
        async with KafkaDeadLetters(connection, topics) as dead_letters:
            await dead_letters.put(letter(1))
            await dead_letters.put(letter(2))
        await log.publish(redriven(letter(1)))
        await log.publish(discarded(letter(2)))
        feed, views, heard = KafkaEventFeed(connection, topics, None), Views(), list[Recorded]()
        async with asyncio.timeout(PATIENCE), aclosing(feed.batches(views)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                heard += batch.records
                views.save(batch)
                if len(heard) >= 4 and feed.passed_over == 2:
                    break
        told = [letter(1), letter(2), redriven(letter(1)), discarded(letter(2))]
        assert sorted(map(repr, (each.message for each in heard))) == sorted(map(repr, told))


class TestRedeliveryOnKafka(OnKafka, RedeliveryOnKafka):
    pass


class TestRedeliveryOnTheEmbeddedBroker(OnTheEmbeddedBroker, RedeliveryOnKafka):
    pass
