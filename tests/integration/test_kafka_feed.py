"""The feed on Kafka: the port's contract, and what only Kafka does to a reader."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.event_feed import KafkaEventFeed
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.provisioning import apply, plan
from app.adapters.kafka.topics import Topics
from app.ports.event_log import Shard
from tests.builders import ANALYST, completed, started, submitted
from tests.contracts.event_feed import PATIENCE, EventFeedContract, OpenFeed, Views
from tests.integration.on_kafka import (
    KafkaTopics,
    OnKafka,
    OnTheEmbeddedBroker,
    send_foreign_name,
)


class FeedOnKafka(KafkaTopics, EventFeedContract):
    @pytest.fixture
    def open_feed(self, connection: KafkaConnection, topics: Topics) -> OpenFeed:
        def open_(group: str | None) -> KafkaEventFeed:
            name = f"{topics.prefix}.{group}" if group else None
            return KafkaEventFeed(connection, topics, name)

        return open_

    async def test_what_cannot_be_read_is_passed_over_and_counted(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        producer = AIOKafkaProducer(**connection.producer_settings())
        await producer.start()
        for value in (b"", b"no json", b"\xff"):
            await producer.send_and_wait(topics.results, value, key=b"k")
        await producer.send_and_wait(topics.results, None, key=b"k")
        await producer.stop()
        await log.publish(completed())
        feed = KafkaEventFeed(connection, topics, None)
        views = await Views().follow(feed, 1)
        assert views.read == [completed()]
        async with asyncio.timeout(PATIENCE), aclosing(feed.batches(views)) as batches:  # type: ignore[type-var]
            while feed.passed_over < 3:
                assert views.save(await anext(batches))
        assert feed.passed_over == 3

    async def test_a_header_with_a_name_that_is_no_text_stops_nothing(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        topic = topics.commands(ANALYST)
        values = [b'{"input": "before"}', b'{"input": "foreign"}', b'{"input": "behind"}']
        await send_foreign_name(connection, topic, values)
        await send_foreign_name(connection, topic, [b'{"input": "between"}', b"no task"])
        for number in range(20):
            await log.publish(submitted(f"t-{number}", "after"))
        feed = KafkaEventFeed(connection, topics, None)
        views = await Views().follow(feed, 24)
        read = [getattr(message, "input", "") for message in views.read]
        assert sorted(read) == [*["after"] * 20, "before", "behind", "between", "foreign"]
        assert feed.passed_over == 1
        assert sum(views.stored.values()) == 25

    async def test_a_new_agents_tasks_are_read_without_a_restart(
        self, connection: KafkaConnection, topics: Topics, log: KafkaEventLog
    ) -> None:
        await log.publish(started())
        views = Views()
        reading = asyncio.create_task(
            views.follow(KafkaEventFeed(connection, topics, f"{topics.prefix}.views"), 2)
        )
        await views.begun.wait()
        await apply(connection, await plan(connection, topics, [("newcomer", [])]))
        await log.publish(submitted(agent="newcomer"))
        await reading
        assert views.read == [started(), submitted(agent="newcomer")]


class TestFeedOnKafka(OnKafka, FeedOnKafka):
    async def test_a_record_is_through_in_milliseconds(
        self, log: KafkaEventLog, open_feed: OpenFeed
    ) -> None:
        views, feed = Views(), open_feed("views")
        took: list[float] = []
        async with asyncio.timeout(PATIENCE), aclosing(feed.batches(views)) as batches:  # type: ignore[type-var]
            for number in range(50):
                reading = asyncio.ensure_future(anext(batches))
                if number == 0:
                    await asyncio.sleep(3)  # joins the group
                began = time.perf_counter()
                await log.publish(started(f"t-{number}"))
                assert views.save(await reading)
                took.append(time.perf_counter() - began)
        assert sorted(took)[25] < 0.1

    async def test_offsets_beyond_the_end_mean_the_topic_was_made_anew(
        self, topics: Topics, log: KafkaEventLog, open_feed: OpenFeed
    ) -> None:
        await log.publish(completed())
        views = Views()
        views.stored = {Shard(topics.results, number): 1_000 for number in range(3)}
        await views.follow(open_feed("views"), 1)
        assert views.read == [completed()]
        assert max(views.stored.values()) <= 1_000

    async def test_the_group_shows_how_far_it_is(
        self,
        connection: KafkaConnection,
        topics: Topics,
        log: KafkaEventLog,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("app.adapters.kafka.event_feed._COMMIT_EVERY", 0.0)
        await log.publish(completed())
        group = f"{topics.prefix}.views"
        reading = asyncio.create_task(Views().follow(KafkaEventFeed(connection, topics, group), 2))
        admin = AIOKafkaAdminClient(**connection.admin_settings())
        await admin.start()
        await _until(lambda: _total_committed(admin, group))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await admin.close()

    async def test_aborted_transactions_are_not_read_and_do_not_hide_the_end(
        self, connection: KafkaConnection, topics: Topics, open_feed: OpenFeed
    ) -> None:
        settings = connection.producer_settings() | {"transactional_id": topics.prefix}
        producer = AIOKafkaProducer(**settings)
        await producer.start()
        topic = topics.commands(ANALYST)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b'{"input": "not meant"}', partition=0)
        await producer.abort_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b'{"input": "meant"}', partition=0)
        await producer.commit_transaction()
        await producer.stop()
        views, feed = Views(), open_feed(None)
        await views.follow(feed, 1)
        assert [getattr(message, "input", None) for message in views.read] == ["meant"]
        ends = {shard: end for shard, end in (await feed.ends()).items() if end}
        async with asyncio.timeout(PATIENCE), aclosing(feed.batches(views)) as batches:  # type: ignore[type-var]
            while any(views.stored.get(shard, 0) < end for shard, end in ends.items()):
                assert views.save(await anext(batches))


class TestFeedOnTheEmbeddedBroker(OnTheEmbeddedBroker, FeedOnKafka):
    async def test_offsets_beyond_the_end_mean_the_broker_was_restarted(
        self, topics: Topics, log: KafkaEventLog, open_feed: OpenFeed
    ) -> None:
        await log.publish(completed())
        views = Views()
        views.stored = {Shard(topics.results, number): 1_000 for number in range(3)}
        await views.follow(open_feed(None), 1)
        assert views.read == [completed()]


async def _total_committed(admin: AIOKafkaAdminClient, group: str) -> int:
    committed = await admin.list_consumer_group_offsets(group)
    return sum(max(0, each.offset) for each in committed.values())


async def _until(ask: Callable[[], Awaitable[int]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await ask():  # noqa: ASYNC110  # only the broker knows
            await asyncio.sleep(0.1)
