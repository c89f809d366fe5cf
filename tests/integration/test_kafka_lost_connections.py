"""A consumer reads on after what its library did not foresee."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.topics import Topics
from tests.builders import completed
from tests.integration.on_kafka import PATIENCE, KafkaTopics, OnKafka


async def read(consumer: AIOKafkaConsumer, count: int) -> None:
    """Return when so many more records have come."""
    async with asyncio.timeout(PATIENCE):
        while count > 0:
            count -= sum(map(len, (await consumer.getmany(timeout_ms=200)).values()))


class TestLostConnections(OnKafka, KafkaTopics):
    @pytest.fixture
    async def consumer(self, connection: KafkaConnection, topics: Topics) -> Any:
        async with AIOKafkaConsumer(
            topics.results, **connection.consumer_settings() | {"request_timeout_ms": 700}
        ) as consumer:
            yield consumer

    async def test_who_asks_for_very_many_partitions_asks_less_often(
        self,
        connection: KafkaConnection,
        consumer: AIOKafkaConsumer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        fetcher, waits = consumer._fetcher, {}
        for count in (3, 1_600, 3_000, 100_000):
            many = set(range(count))
            monkeypatch.setattr(fetcher._subscriptions, "assigned_partitions", lambda: many)  # noqa: B023
            waits[count] = fetcher._fetch_max_wait_ms
        own = connection.consumer_settings()["fetch_max_wait_ms"]
        assert waits == {3: own, 1_600: own, 3_000: 900, 100_000: 1_000}

    async def test_one_that_goes_while_an_answer_is_awaited_ends_no_reading(
        self, log: KafkaEventLog, consumer: AIOKafkaConsumer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await log.publish(completed("t-1"))
        await read(consumer, 1)
        client = consumer._client
        gone = asyncio.Event()
        for connection in client._conns.values():

            async def never(*_: object, **__: object) -> None:
                client._conns.clear()  # as when it was closed for another reason meanwhile
                gone.set()
                raise TimeoutError

            monkeypatch.setattr(connection, "send", never)
        async with asyncio.timeout(PATIENCE):
            await gone.wait()
        await log.publish(completed("t-2"))
        await read(consumer, 1)

    async def test_an_error_nobody_foresaw_ends_no_reading(
        self, log: KafkaEventLog, consumer: AIOKafkaConsumer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await log.publish(completed("t-1"))
        await read(consumer, 1)
        raised = asyncio.Event()

        async def broken(*_: object) -> bool:
            raised.set()
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(Fetcher, "_proc_fetch_request", broken)
            async with asyncio.timeout(PATIENCE):
                await raised.wait()
        await log.publish(completed("t-2"))
        await read(consumer, 1)
