"""The tail on Kafka: the port's contract, and a topic that grows."""

import pytest

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.provisioning import apply, plan
from app.adapters.kafka.result_tail import KafkaResultTail
from app.adapters.kafka.topics import Topics
from tests.builders import completed, task_id
from tests.contracts.result_tail import OpenTail, ResultTailContract, heard
from tests.integration.on_kafka import (
    KafkaTopics,
    OnKafka,
    OnTheEmbeddedBroker,
    send_foreign_name,
)


class TailOnKafka(KafkaTopics, ResultTailContract):
    @pytest.fixture
    def open_tail(self, connection: KafkaConnection, topics: Topics) -> OpenTail:
        return lambda: KafkaResultTail(connection, topics)

    async def test_what_is_no_event_stops_nobody(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        tail = KafkaResultTail(connection, topics)
        await tail.ready()
        await send_foreign_name(connection, topics.results, [b"{}", b"{}", b"{}"])
        names = [f"t-{number}" for number in range(20)]
        for name in names:
            await log.publish(completed(name))
        assert {event.task_id for event in await heard(tail, 20)} == set(map(task_id, names))


class TestTailOnKafka(OnKafka, TailOnKafka):
    async def test_partitions_that_are_added_are_heard(
        self,
        connection: KafkaConnection,
        topics: Topics,
        log: KafkaEventLog,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings = connection.consumer_settings() | {"metadata_max_age_ms": 500}
        monkeypatch.setattr(KafkaConnection, "consumer_settings", lambda _: settings)
        tail = KafkaResultTail(connection, topics)
        await tail.ready()
        wider = Topics(topics.prefix, command_partitions=2, event_partitions=9)
        await apply(connection, await plan(connection, wider, []))
        names = [f"t-{number}" for number in range(30)]
        async with KafkaEventLog(connection, wider) as log_of_the_wider:
            for name in names:
                await log_of_the_wider.publish(completed(name))
        events = await heard(tail, 30)
        assert {event.task_id for event in events} == {completed(name).task_id for name in names}


class TestTailOnTheEmbeddedBroker(OnTheEmbeddedBroker, TailOnKafka):
    pass
