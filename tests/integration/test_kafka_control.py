"""The control topic on Kafka: the port's contract, and what other producers may write there."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.control import KafkaControl
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.provisioning import apply, plan
from app.adapters.kafka.topics import Topics
from tests.builders import canceling, task_id
from tests.contracts.control import ControlContract, OpenControl, listening
from tests.integration.on_kafka import (
    KafkaTopics,
    OnKafka,
    OnTheEmbeddedBroker,
    send_foreign_name,
)
from tests.waiting import until, until_true


class ControlOnKafka(KafkaTopics, ControlContract):
    @pytest.fixture
    def open_control(self, connection: KafkaConnection, topics: Topics) -> OpenControl:
        return lambda: KafkaControl(connection, topics)

    async def test_plain_json_asks_too_and_what_cannot_be_read_stops_nobody(
        self,
        connection: KafkaConnection,
        topics: Topics,
        log: KafkaEventLog,
        open_control: OpenControl,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        key = task_id("plain").encode()
        producer = AIOKafkaProducer(**connection.producer_settings())
        await producer.start()
        for value in (b"{}", None, b"no json", b'{"reason": 3}', b'{"reason": "enough"}'):
            await producer.send_and_wait(topics.control, value, key=key)
        await producer.send_and_wait(topics.control, b"{}", key=b"no task")
        await producer.stop()
        await log.publish(canceling())
        async with listening(open_control()) as (control, heard):
            await asyncio.wait_for(control.caught_up(), 30)
        asked = [(each.task_id, each.reason) for each in heard]
        assert asked == [
            (task_id("plain"), None),
            (task_id("plain"), "enough"),
            (task_id("t-1"), None),
        ]
        passed_over = [each for each in caplog.messages if "passed over" in each]
        assert len(passed_over) == 3

    async def test_what_is_no_cancel_stops_nobody(
        self,
        connection: KafkaConnection,
        topics: Topics,
        log: KafkaEventLog,
        open_control: OpenControl,
    ) -> None:
        await send_foreign_name(connection, topics.control, [b"{}", b"{}", b"{}"])
        await log.publish(canceling())
        async with listening(open_control()) as (control, heard):
            await asyncio.wait_for(control.caught_up(), 30)
            await until(lambda: heard == [canceling()])


class TestControlOnKafka(OnKafka, ControlOnKafka):
    async def test_a_topic_that_is_made_anew_is_read_from_its_start(
        self,
        connection: KafkaConnection,
        topics: Topics,
        log: KafkaEventLog,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings = connection.consumer_settings() | {"metadata_max_age_ms": 300}
        monkeypatch.setattr(KafkaConnection, "consumer_settings", lambda _: settings)
        for number in range(5):
            await log.publish(canceling(f"t-{number}"))
        async with listening(KafkaControl(connection, topics)) as (control, heard):
            await asyncio.wait_for(control.caught_up(), 30)
            admin = AIOKafkaAdminClient(**connection.admin_settings())
            await admin.start()
            await admin.delete_topics([topics.control])

            async def gone() -> bool:
                return topics.control not in await admin.list_topics()

            await until_true(gone)
            await admin.close()
            await asyncio.sleep(1)  # until every reader has noticed; nothing says so
            await apply(connection, await plan(connection, topics, []))
            async with KafkaEventLog(connection, topics) as anew:
                await anew.publish(canceling("later"))
            await until(lambda: canceling("later") in heard, within=40)


class TestControlOnTheEmbeddedBroker(OnTheEmbeddedBroker, ControlOnKafka):
    pass
