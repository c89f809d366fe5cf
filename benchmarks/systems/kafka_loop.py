"""What raw aiokafka and FastStream share: a request topic, a worker, a reply topic, one client."""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Sequence
from typing import ClassVar, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.load import payload
from benchmarks.system import KAFKA, Sleep, System

PARTITIONS = 16


class KafkaLoop(System):
    """Knows each answer by its number."""

    name: ClassVar[str]

    async def __aenter__(self) -> Self:
        self._kafka = os.environ[KAFKA]
        self._replies = f"bench.{self.name}.replies"
        self._numbers = itertools.count(1)
        self._queues = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        await self._create(self._replies)
        self._producer = AIOKafkaProducer(bootstrap_servers=self._kafka, acks="all")
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            self._replies, bootstrap_servers=self._kafka, auto_offset_reset="earliest"
        )
        await self._consumer.start()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await self._consumer.stop()
        await self._producer.stop()

    async def fresh(self) -> None:
        self._requests = f"bench.{self.name}.{next(self._queues)}"
        await self._create(self._requests)

    def worker(self, slots: int) -> list[str]:
        module = type(self).__module__
        return [
            sys.executable,
            "-m",
            module,
            self._kafka,
            self._requests,
            self._replies,
            str(slots),
        ]

    async def ask(self) -> None:
        number, answered = self._expect()
        await self._producer.send_and_wait(self._requests, payload(number))
        await answered

    async def flood(self, tasks: int, within: float) -> int:
        ends = asyncio.get_running_loop().time() + within
        answers = []
        for _ in range(tasks):
            number, answered = self._expect()
            answers.append(answered)
            await self._producer.send(self._requests, payload(number))
        await asyncio.wait(answers, timeout=max(0, ends - asyncio.get_running_loop().time()))
        return sum(answer.done() for answer in answers)

    async def submit(self, sleeps: Sequence[Sleep], *, one_shard: bool = False) -> None:
        """Evenly over the partitions, which is the best case of who works on one at a time."""
        for number, (key, seconds) in enumerate(sleeps):
            message = json.dumps({"i": 0, "key": key, "seconds": seconds}).encode()
            partition = 0 if one_shard else number % PARTITIONS
            await self._producer.send_and_wait(self._requests, message, partition=partition)

    def _expect(self) -> "tuple[int, asyncio.Future[None]]":
        number = next(self._numbers)
        answered = self._waiting[number] = asyncio.get_running_loop().create_future()
        return number, answered

    async def _read(self) -> None:
        async for record in self._consumer:
            answered = self._waiting.pop(json.loads(record.value)["i"], None)
            if answered and not answered.done():
                answered.set_result(None)

    async def _create(self, topic: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._kafka)
        await admin.start()
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        await admin.close()
