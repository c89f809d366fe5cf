"""The yardsticks: a request topic, one process that answers each message, a reply topic."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.load import Latencies, open_loop
from tests.e2e.fleet import ROOT

KINDS = ("raw", "faststream")


def payload(number: int | str, **more: object) -> bytes:
    """A message of 500 bytes."""
    body = {"i": number, **more, "pad": ""}
    body["pad"] = "x" * max(0, 500 - len(json.dumps(body)))
    return json.dumps(body).encode()


class Echo:
    """One kind of echo process, and a client that knows when each answer has come."""

    def __init__(self, kafka: str, kind: str) -> None:
        self._kafka = kafka
        self._kind = kind
        self._requests, self._replies = f"bench.{kind}.requests", f"bench.{kind}.replies"
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._number = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Echo"]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._kafka)
        await admin.start()
        await admin.create_topics([NewTopic(self._requests, 6, 1), NewTopic(self._replies, 12, 1)])
        await admin.close()
        self._producer = AIOKafkaProducer(bootstrap_servers=self._kafka, acks="all")
        await self._producer.start()
        consumer = AIOKafkaConsumer(self._replies, bootstrap_servers=self._kafka)
        await consumer.start()
        reading = asyncio.create_task(self._read(consumer))
        process = self._start()
        try:
            await asyncio.wait_for(self.ask(), 60)  # the group is joined once it answers
            yield self
        finally:
            process.terminate()
            process.wait(20)
            reading.cancel()
            await consumer.stop()
            await self._producer.stop()

    def _start(self) -> "subprocess.Popen[bytes]":
        program = [sys.executable, "-m", f"benchmarks.echo_{self._kind}"]
        topics = [self._requests, self._replies]
        return subprocess.Popen([*program, self._kafka, *topics], cwd=ROOT)

    async def ask(self) -> None:
        """Send one message and wait for its answer."""
        answered = self._expect()
        await self._producer.send_and_wait(self._requests, payload(self._number))
        await answered

    async def latency(self, seconds: float) -> Latencies:
        return await open_loop(lambda _: self.ask(), seconds=seconds)

    async def throughput(self, messages: int) -> float:
        """Messages a second, all answers received."""
        began = time.perf_counter()
        answers = []
        for _ in range(messages):
            answers.append(self._expect())
            await self._producer.send(self._requests, payload(self._number))
        await asyncio.wait(answers, timeout=120)
        done = sum(answer.done() for answer in answers)
        return done / (time.perf_counter() - began)

    def _expect(self) -> "asyncio.Future[None]":
        self._number += 1
        answered = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        return answered

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            answered = self._waiting.pop(json.loads(record.value)["i"], None)
            if answered and not answered.done():
                answered.set_result(None)
