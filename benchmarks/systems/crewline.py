"""Crewline, asked through Kafka; its gateway and projector run beside the worker all the time."""

import asyncio
import itertools
import os
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from aiokafka import AIOKafkaProducer

from app.adapters.local.servers.server import free_port
from benchmarks.crewline import Crewline
from benchmarks.figures import Extent, Figures
from benchmarks.load import payload
from benchmarks.process import resident
from benchmarks.system import KAFKA, Sleep, System
from tests.e2e.fleet import Fleet, crewline

SETTINGS = {
    "CREWLINE_CATALOG__FOLDERS": str(Path(__file__).parents[1] / "catalog"),
    "CREWLINE_WORKER__AGENTS": "noop,sleep",
    "CREWLINE_WORKER__RUNTIMES": "python",
    "CREWLINE_WORKER__SLOTS": "256",
    "CREWLINE_WORKER__BUFFER": "1000",
    "CREWLINE_LOGGING__LEVEL": "ERROR",
}
_WARMING = 2.0
"""Seconds of requests before those that count, as every system has its first ones before."""


class CrewlineOnKafka(System):
    package = "crewline"
    settings = (
        "256 slots, or as many as said, buffer 1000, acks=all, 3 partitions of commands and 6 of "
        "results, SQLite views"
    )
    slots = 256
    second_worker = True

    async def __aenter__(self) -> Self:
        self._numbers = itertools.count(1)
        self._around = AsyncExitStack()
        self._producer = AIOKafkaProducer(bootstrap_servers=os.environ[KAFKA], acks="all")
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._around.aclose()
        await self._producer.stop()

    async def fresh(self) -> None:
        await self._around.aclose()
        self._fleet = new_fleet(self.folder, f"bench{next(self._numbers)}")
        running = Crewline(self._fleet).running(("gateway", "projector"))
        self._crewline = await self._around.enter_async_context(running)

    def worker(self, slots: int) -> list[str]:
        return [*crewline(), "worker", "--slots", str(slots)]

    def environ(self) -> dict[str, str]:
        return self._fleet.environ()

    async def ask(self) -> None:
        await self._crewline.produce_and_wait()

    async def flood(self, tasks: int, within: float) -> int:
        return await self._crewline.produce_many(tasks, within)

    async def submit(self, sleeps: Sequence[Sleep], *, one_shard: bool = False) -> None:
        for key, seconds in sleeps:
            message = payload("task", input="sleep", parameters={"key": key, "seconds": seconds})
            await self._producer.send(
                f"{self._fleet.prefix}.commands.sleep",
                message,
                key=str(uuid.uuid4()).encode(),
                partition=0 if one_shard else None,
            )
        await self._producer.flush()

    async def more(self, extent: Extent) -> Figures:
        """The way in over HTTP and the way to the view, and what all processes weigh."""
        await self._around.aclose()
        fleet = new_fleet(self.folder, "bench")
        async with Crewline(fleet).running() as everything:
            await asyncio.sleep(3)
            weights = [sum(resident(process.pid)) for process in fleet.running.values()]
            await everything.http_to_result(_WARMING)
            accept = await everything.http_accept(extent.seconds)
            result = await everything.http_to_result(extent.seconds)
            await everything.to_the_view(500)  # as many as the others' throughput begins with
            rate = await everything.to_the_view(int(2_000 * extent.seconds))
        return {
            "all_memory_mb": sum(weights),
            "accept_p50_ms": accept.p50,
            "accept_p99_ms": accept.p99,
            "result_p50_ms": result.p50,
            "result_p99_ms": result.p99,
            "to_view_per_second": rate,
        }


def new_fleet(folder: Path, prefix: str) -> Fleet:
    """Topics, views and identities of its own."""
    home = folder / prefix
    home.mkdir()
    store = f"sqlite:///{home / 'views.db'}"
    return Fleet(home, os.environ[KAFKA], prefix, free_port(), store, SETTINGS)
