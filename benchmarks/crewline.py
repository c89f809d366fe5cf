"""Crewline measured from outside: over HTTP, from topic to result, and from topic to view."""

import asyncio
import itertools
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.load import Latencies, open_loop, payload
from tests.e2e.fleet import Fleet

AGENT = "noop"
PROCESSES = ("gateway", "worker", "projector")
_TASK = payload("task", input="do nothing")


class Crewline:
    """A fleet of one gateway, one worker and one projector."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._commands = f"{fleet.prefix}.commands.{AGENT}"
        self._waiting: dict[str, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def running(self, processes: Sequence[str] = PROCESSES) -> AsyncIterator["Crewline"]:
        made = self.fleet.run("topics", "apply")
        if made.returncode:
            raise RuntimeError(made.stderr)
        for process in processes:
            self.fleet.start(process)
        patience = aiohttp.ClientTimeout(60)
        self._http = aiohttp.ClientSession(self.fleet.url, timeout=patience)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.fleet.kafka, acks="all", max_batch_size=131_072
        )
        consumer = self._consumer = AIOKafkaConsumer(
            f"{self.fleet.prefix}.results", bootstrap_servers=self.fleet.kafka
        )
        await self._producer.start()
        await consumer.start()
        reading = asyncio.create_task(self._read(consumer))
        try:
            await self.fleet.ready()
            if "worker" in processes:
                await asyncio.wait_for(self.produce_and_wait(), 60)
            yield self
        finally:
            reading.cancel()
            await consumer.stop()
            await self._producer.stop()
            await self._http.close()
            for process in processes:
                await self.fleet.stop(process)

    # --- one request of each kind

    async def accept(self) -> None:
        async with self._http.post("/v1/tasks", json=self._body()) as answer:
            if answer.status != 202:
                raise RuntimeError(await answer.text())
            await answer.read()

    async def submit_and_wait(self) -> None:
        headers = {"prefer": "wait=30"}
        async with self._http.post("/v1/tasks", json=self._body(), headers=headers) as answer:
            if answer.status != 200 or (await answer.json())["state"] != "completed":
                raise RuntimeError(await answer.text())

    async def produce_and_wait(self) -> None:
        task_id, ended = self._expect()
        await self._producer.send_and_wait(self._commands, _TASK, key=task_id.encode())
        await ended

    async def produce_many(self, tasks: int, within: float) -> int:
        """Produce tasks as fast as may be; how many result events came in time."""
        ends = asyncio.get_running_loop().time() + within
        results = []
        for _ in range(tasks):
            task_id, ended = self._expect()
            results.append(ended)
            await self._producer.send(self._commands, _TASK, key=task_id.encode())
        await asyncio.wait(results, timeout=max(0, ends - asyncio.get_running_loop().time()))
        return sum(result.done() for result in results)

    # --- what is measured

    async def http_accept(self, seconds: float) -> Latencies:
        with self._deaf():
            return await open_loop(lambda _: self.accept(), seconds=seconds)

    async def http_to_result(self, seconds: float) -> Latencies:
        with self._deaf():
            return await open_loop(lambda _: self.submit_and_wait(), seconds=seconds)

    async def to_the_view(self, tasks: int) -> float:
        """No-op tasks a second, from the first produce until all are completed in the view."""
        before = self._completed()
        with self._deaf():
            began = time.perf_counter()
            await self._produce_whole_batches(tasks)
            while (done := self._completed() - before) < tasks:
                if time.perf_counter() - began > 120:
                    break
                await asyncio.sleep(0.1)
            return done / (time.perf_counter() - began)

    @contextmanager
    def _deaf(self) -> Iterator[None]:
        """What answers is not the results topic: it is not read meanwhile."""
        self._consumer.pause(*self._consumer.assignment())
        try:
            yield
        finally:
            self._consumer.resume(*self._consumer.paused())

    async def _produce_whole_batches(self, tasks: int) -> None:
        """What the client spends on the same two cores is not what is measured."""
        partitions = itertools.cycle(await self._producer.partitions_for(self._commands))
        while tasks:
            batch = self._producer.create_batch()
            while tasks and batch.append(
                timestamp=None, key=str(uuid.uuid4()).encode(), value=_TASK
            ):
                tasks -= 1
            await self._producer.send_batch(batch, self._commands, partition=next(partitions))
        await self._producer.flush()

    def _completed(self) -> int:
        path = Path(self.fleet.store.partition(":///")[2])
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as views:
            query = "SELECT count(*) FROM crewline_tasks WHERE state = 'completed'"
            return int(views.execute(query).fetchone()[0])

    def _expect(self) -> "tuple[str, asyncio.Future[None]]":
        task_id = str(uuid.uuid4())
        ended = self._waiting[task_id] = asyncio.get_running_loop().create_future()
        return task_id, ended

    def _body(self) -> dict[str, object]:
        return {"agent": AGENT, "input": "x" * 400}

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            kind = dict(record.headers).get("ce_type", b"")
            if kind.startswith(b"crewline.task.completed"):
                ended = self._waiting.pop(record.key.decode(), None)
                if ended and not ended.done():
                    ended.set_result(None)
