"""What has ended, on Kafka: the port's contract, and what others may write there."""

import asyncio
from collections import defaultdict, deque
from itertools import chain

import pytest

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.endings import KafkaEndings
from app.adapters.kafka.event_feed import KafkaEventFeed
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.topics import Topics
from app.ports.event_log import Shard
from tests.builders import completed, task_id
from tests.contracts.endings import EndingsContract
from tests.integration.on_kafka import (
    KafkaTopics,
    OnKafka,
    OnTheEmbeddedBroker,
    read_records,
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
        assert (await endings.behind({})).attempts == {task_id("t-1"): 1}

    async def test_of_what_the_views_lack_by_far_the_latest_is_read(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        sent = [await log.append(completed(f"t-{number}")) for number in range(90)]
        await asyncio.gather(*sent)
        latest: defaultdict[int, deque[bytes | None]] = defaultdict(lambda: deque(maxlen=5))
        for record in await read_records(connection, [topics.results], 90):
            latest[record.partition].append(record.key)
        ended = await KafkaEndings(connection, topics, at_most=5).behind({})
        assert {each.encode() for each in ended.attempts} == set(chain(*latest.values()))

    async def test_offsets_of_a_topic_that_was_made_anew_hide_nothing(
        self, topics: Topics, log: KafkaEventLog, endings: KafkaEndings
    ) -> None:
        await log.publish(completed("t-1"))
        before = {Shard(topics.results, partition): 500 for partition in range(3)}
        assert (await endings.behind(before)).attempts == {task_id("t-1"): 1}


class TestEndingsOnKafka(OnKafka, EndingsOnKafka):
    pass


class TestEndingsOnTheEmbeddedBroker(OnTheEmbeddedBroker, EndingsOnKafka):
    pass
