"""The fleet on Kafka: the port's contract, on both brokers."""

import pytest

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.fleet import KafkaFleetFeed
from app.adapters.kafka.topics import Topics
from app.ports.fleet import Heartbeats
from tests.builders import heartbeat
from tests.contracts.fleet import FleetContract, OpenFeed, until_heard
from tests.integration.on_kafka import (
    KafkaTopics,
    OnKafka,
    OnTheEmbeddedBroker,
    send_foreign_name,
)


class FleetOnKafka(KafkaTopics, FleetContract):
    @pytest.fixture
    def heartbeats(self, log: KafkaEventLog) -> Heartbeats:
        return log.heartbeats()

    @pytest.fixture
    def open_feed(self, connection: KafkaConnection, topics: Topics) -> OpenFeed:
        return lambda: KafkaFleetFeed(connection, topics)

    async def test_what_nobody_can_read_is_passed_over(
        self, connection: KafkaConnection, topics: Topics, heartbeats: Heartbeats
    ) -> None:
        await send_foreign_name(connection, topics.workers, [b"{}", b"nonsense"])
        await heartbeats.send(heartbeat("a"))
        heard = await until_heard(KafkaFleetFeed(connection, topics), heartbeat("a"))
        assert [each.word for each in heard] == [heartbeat("a")]


class TestFleetOnKafka(OnKafka, FleetOnKafka):
    pass


class TestFleetOnTheEmbeddedBroker(OnTheEmbeddedBroker, FleetOnKafka):
    pass
