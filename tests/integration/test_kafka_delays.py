"""The delays on Kafka: the contract, what cannot be read there, and more than memory holds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaProducer

from app.adapters.kafka.claims import Limits
from app.adapters.kafka.codec import encode
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.delay_queue import LIMITS, KafkaDelayQueue
from app.adapters.kafka.delays import KafkaDelays
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.producer import Producer
from app.adapters.kafka.topics import Topics
from app.adapters.local.clock import SystemClock
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.domain.model.commands import Earlier
from app.domain.model.ids import WorkerId
from app.domain.use_cases.release_delayed import ReleaseDelayed
from app.ports.delays import DelayQueue, Due, Unwanted, nothing
from app.ports.task_queue import Undecodable
from tests.builders import submitted
from tests.contracts.delays import SOON, DelaysContract, Released, Waiting, ids, later, releasing
from tests.integration.on_kafka import (
    KafkaTopics,
    OnKafka,
    OnTheEmbeddedBroker,
    read_records,
    send_foreign_name,
)
from tests.waiting import until

pytestmark = pytest.mark.kafka


class WaitingOnKafka(Waiting):
    def __init__(self, connection: KafkaConnection, topics: Topics, producer: Producer) -> None:
        self.connection = connection
        self.topics = topics
        self.producer = producer

    @property
    def delays(self) -> KafkaDelays:
        return KafkaDelays(self.producer, self.topics)

    def queue(
        self,
        unwanted: Unwanted = nothing,
        *,
        limits: Limits = LIMITS,
        worker: str = "worker-1",
    ) -> DelayQueue:
        return KafkaDelayQueue(
            self.connection,
            self.topics,
            self.producer,
            WorkerId(worker),
            unwanted=unwanted,
            limits=limits,
        )


class OnTopics(KafkaTopics):
    @pytest.fixture
    async def waiting(
        self, connection: KafkaConnection, topics: Topics
    ) -> AsyncIterator[WaitingOnKafka]:
        async with Producer(connection) as producer:
            yield WaitingOnKafka(connection, topics, producer)


class TestOnTheEmbeddedBroker(OnTopics, OnTheEmbeddedBroker, DelaysContract):
    keeps_what_is_ahead = False  # it keeps no metadata of commits


class TestKafkaDelays(OnTopics, OnKafka, DelaysContract):
    async def test_what_cannot_be_read_is_handed_out_as_such_and_the_others_go_on(
        self, waiting: WaitingOnKafka
    ) -> None:
        topic = waiting.topics.retries
        key, value, headers = encode(submitted("no time"))
        odd = [("crewline-not-before", b"\xff tomorrow")]
        async with AIOKafkaProducer(**waiting.connection.producer_settings()) as producer:
            await producer.send_and_wait(topic, b"no JSON", key=b"k")
            await producer.send_and_wait(topic, value, key=key, headers=headers)
            await producer.send_and_wait(topic, value, key=key, headers=[*headers, *odd])
            await producer.send_and_wait(topic, None, key=key)
        await send_foreign_name(waiting.connection, topic, [b"a", b"b"])
        await waiting.delays.put(submitted("t-1"), later(0))
        seen: list[Due] = []

        class Noted(Released):
            async def __call__(self, due: Due) -> None:
                seen.append(due)

        async with releasing(waiting.queue(), Noted()):
            await until(lambda: len(seen) == 6)
            await asyncio.sleep(0.3)  # room for one that must not come
        refused = [due for due in seen if isinstance(due.content, Undecodable)]
        assert sorted(bytes(due.origin.value or b"") for due in refused) == sorted(
            [b"a", b"b", b"no JSON", value, value]
        )
        assert all(due.origin.topic == topic for due in seen)
        assert [due.content for due in seen if due not in refused] == [submitted("t-1")]

    async def test_what_waits_counts_as_no_run_however_often_its_worker_dies(
        self, waiting: WaitingOnKafka
    ) -> None:
        names = [f"t-{number}" for number in range(20)]
        due = later(12)
        for name in names:
            await waiting.delays.put(submitted(name), due)
        for _ in range(4):
            lost = Released()
            work = asyncio.create_task(waiting.queue().run(lost))
            await asyncio.sleep(0.7)
            work.cancel()  # no word of goodbye to the group
            await asyncio.gather(work, return_exceptions=True)
            assert not lost.commands
        released = Released()
        async with releasing(waiting.queue(), released):
            await until(lambda: len(released.commands) == 20)
        assert sorted(released.ids) == sorted(ids(*names))
        assert (max(released.times) - max(due, min(released.times))).total_seconds() < SOON

    async def test_more_wait_than_memory_holds_and_none_holds_up_another(
        self, waiting: WaitingOnKafka
    ) -> None:
        for number in range(500):
            await waiting.delays.put(submitted(f"far-{number}"), later(3600))
        await waiting.delays.put(submitted("t-1"), later(0))
        released = Released()
        async with releasing(waiting.queue(limits=Limits(slots=16, buffer=100)), released):
            await until(lambda: released.ids == ids("t-1"))

    async def test_a_released_task_keeps_the_key_its_producer_chose(
        self, waiting: WaitingOnKafka, log: KafkaEventLog
    ) -> None:
        keyed = submitted("keyed", context_id="c").model_copy(update={"earlier": Earlier(key=b"K")})
        plain = submitted("plain", context_id="c")
        release = ReleaseDelayed(log, MemoryDeadLetters(), SystemClock())
        for command in (keyed, plain):
            await waiting.delays.put(command, later(0))
        work = asyncio.create_task(waiting.queue().run(release))
        try:
            topic = waiting.topics.of(keyed)
            records = await read_records(waiting.connection, [topic], 2)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        keys = {str(dict(record.headers)["ce_subject"], "utf-8"): record.key for record in records}
        assert keys == {keyed.id: b"K", plain.id: b"c"}

    async def test_two_workers_share_what_waits_and_release_each_once(
        self, waiting: WaitingOnKafka
    ) -> None:
        first, second = Released(), Released()
        async with (
            releasing(waiting.queue(worker="worker-1"), first),
            releasing(waiting.queue(worker="worker-2"), second),
        ):
            names = [f"t-{number}" for number in range(60)]
            due = later(2)
            for name in names:
                await waiting.delays.put(submitted(name), due)
            await until(lambda: len(first.ids) + len(second.ids) == 60)
        assert sorted(first.ids + second.ids) == sorted(ids(*names))
        assert first.ids
        assert second.ids
        assert min(first.times + second.times) >= due - timedelta(milliseconds=1)
