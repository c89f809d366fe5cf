"""The log on Kafka: the port's contract, and what happens when a broker says no."""

import asyncio
import time

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app.adapters.kafka.codec import Codec
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.producer import Producer
from app.adapters.kafka.topics import Topics
from app.domain.model.errors import PayloadTooLarge
from app.domain.model.messages import Message
from app.ports.event_log import LogUnavailable
from app.ports.task_queue import Undecodable
from tests.builders import ANALYST, completed, progressed, submitted, task_id
from tests.contracts.event_log import EventLogContract, ReadBack
from tests.integration.on_kafka import KafkaTopics, OnKafka, OnTheEmbeddedBroker, read_records
from tests.waiting import until_true


class LogOnKafka(KafkaTopics, EventLogContract):
    @pytest.fixture
    def read_back(self, connection: KafkaConnection, topics: Topics) -> ReadBack:
        names = [topics.commands(ANALYST), topics.results, topics.traces]

        async def read(count: int) -> list[Message]:
            codec = Codec(topics)
            messages = [
                codec.any(record) for record in await read_records(connection, names, count)
            ]
            return [each for each in messages if each and not isinstance(each, Undecodable)]

        return read

    async def test_a_task_that_names_a_runtime_goes_to_its_topic(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        await log.publish(submitted(runtime="rules"))
        name = f"{topics.prefix}.commands.{ANALYST}.rules"
        [record] = await read_records(connection, [name], 1)
        assert (record.topic, record.key) == (name, task_id().encode())

    async def test_a_broker_that_is_there_answers(self, log: KafkaEventLog) -> None:
        await log.ping()

    async def test_ten_thousand_messages_are_taken_in_a_few_seconds(
        self, log: KafkaEventLog
    ) -> None:
        began = time.perf_counter()
        told = [progressed(f"t-{number % 100}", sequence=number + 1) for number in range(10_000)]
        await asyncio.gather(*[await log.append(message) for message in told])
        assert time.perf_counter() - began < 10


class TestLogOnKafka(OnKafka, LogOnKafka):
    async def test_a_topic_that_does_not_exist_is_said_within_the_deadline(
        self, connection: KafkaConnection, topics: Topics
    ) -> None:
        async with KafkaEventLog(connection, topics, deadline=1) as log:
            began = time.perf_counter()
            with pytest.raises(LogUnavailable):
                await log.append(submitted(agent="nobody"))
            assert time.perf_counter() - began < 6  # by itself it takes ten
            await log.publish(submitted())

    async def test_it_knows_how_much_the_topic_of_the_results_takes(
        self, connection: KafkaConnection, topics: Topics
    ) -> None:
        admin = AIOKafkaAdminClient(**connection.admin_settings())
        await admin.start()
        limit = {"max.message.bytes": "60000"}
        topic = ConfigResource(ConfigResourceType.TOPIC, topics.results, limit)
        await admin.alter_configs([topic])
        await admin.close()
        async with KafkaEventLog(connection, topics) as log:
            assert log.largest_message == connection.max_message_bytes

            async def has_heard() -> bool:
                await log.learn_limits()
                return log.largest_message < 60_000

            await until_true(has_heard, 30)
            assert log.largest_message > 59_000
            await log.publish(completed(output="x" * (log.largest_message - 4_096)))

    async def test_what_a_topic_takes_is_not_asked_of_brokers_that_are_away(
        self, topics: Topics
    ) -> None:
        away = KafkaConnection("127.0.0.1:1", request_timeout=1)
        log = KafkaEventLog(away, topics, deadline=0.2)
        await log.learn_limits()
        assert log.largest_message == away.max_message_bytes

    async def test_a_refused_record_does_not_spoil_those_after_it(
        self, connection: KafkaConnection, topic_prefix: str
    ) -> None:
        topic = f"{topic_prefix}.small"
        admin = AIOKafkaAdminClient(**connection.admin_settings())
        await admin.start()
        small = {"max.message.bytes": "2000"}
        await admin.create_topics([NewTopic(topic, 1, 1, topic_configs=small)])
        await admin.close()
        async with Producer(connection) as producer:
            for size, refused in ((10, False), (5_000, True), (10, False), (10, False)):
                sent = await producer.send(topic, key=None, value=b"x" * size, headers=[])
                if refused:
                    with pytest.raises(PayloadTooLarge):
                        await sent
                else:
                    await sent


class TestLogOnTheEmbeddedBroker(OnTheEmbeddedBroker, LogOnKafka):
    pass


class TestWithoutABroker:
    @pytest.fixture
    def connection(self) -> KafkaConnection:
        return KafkaConnection("127.0.0.1:1")

    async def test_a_log_can_be_opened_but_takes_nothing(self, connection: KafkaConnection) -> None:
        began = time.perf_counter()
        async with KafkaEventLog(connection, Topics(), deadline=1) as log:
            with pytest.raises(LogUnavailable):
                await log.append(submitted())
            with pytest.raises(LogUnavailable):
                await log.ping()
        assert time.perf_counter() - began < 8  # by themselves they take twenty
