"""What has ended, on Kafka: the port's contract, and what others may write there."""

import asyncio

import pytest

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.endings import KafkaEndings
from app.adapters.kafka.event_feed import KafkaEventFeed
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.topics import Topics
from tests.builders import completed, task_id
from tests.contracts.endings import EndingsContract
from tests.integration.on_kafka import (
    KafkaTopics,
    OnKafka,
    OnTheEmbeddedBroker,
    send_foreign_name,
)


class EndingsOnKafka(KafkaTopics, EndingsContract):
    @pytest.fixture
    def feed(self, connection: KafkaConnection, topics: Topics) -> KafkaEventFeed:
        return KafkaEventFeed(connection, topics, None)

    @pytest.fixture
    def endings(self, connection: KafkaConnection, topics: Topics) -> KafkaEndings:
        return KafkaEndings(connection, topics)

    async def test_what_is_no_event_is_passed_over(
        self,
        connection: KafkaConnection,
        topics: Topics,
        log: KafkaEventLog,
        endings: KafkaEndings,
    ) -> None:
        await send_foreign_name(connection, topics.results, [b"{}", b"\xff", b"[]"])
        await log.publish(completed("t-1"))
        assert await endings.behind({}) == {task_id("t-1"): 1}

    async def test_of_what_the_views_lack_by_far_the_latest_is_read(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        sent = [await log.append(completed(f"t-{number}")) for number in range(90)]
        await asyncio.gather(*sent)
        told = await KafkaEndings(connection, topics, at_most=5).behind({})
        assert len(told) == 3 * 5


class TestEndingsOnKafka(OnKafka, EndingsOnKafka):
    pass


class TestEndingsOnTheEmbeddedBroker(OnTheEmbeddedBroker, EndingsOnKafka):
    pass
