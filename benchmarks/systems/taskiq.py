"""Taskiq with Redis streams, its broker that acknowledges."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Self

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.ledger import note
from benchmarks.load import body
from benchmarks.system import REDIS, Sleep, System
from benchmarks.systems.threads import forget

CHECK_EVERY = 0.005
"""Seconds between looks for a result; the default of 0.2 s would be all that is measured."""

_idle = {"idle_timeout": 10_000} if os.environ.get("BENCH_TUNED") else {}
broker = RedisStreamBroker(f"{os.environ[REDIS]}/0", **_idle).with_result_backend(
    RedisAsyncResultBackend(f"{os.environ[REDIS]}/1")
)


@broker.task
async def noop(message: dict[str, object]) -> dict[str, object]:
    return {"i": message["i"], "ok": True}


@broker.task
async def sleep(key: str, seconds: float) -> None:
    note("began", key)
    await asyncio.sleep(seconds)
    note("ended", key)


class TaskiqOnRedis(System):
    package = "taskiq"
    settings = (
        "RedisStreamBroker, 1 process, 100 async tasks or as many as slots, results looked for "
        "every 5 ms"
    )
    slots = 100

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await broker.shutdown()

    async def fresh(self) -> None:
        await asyncio.to_thread(forget)
        await broker.startup()  # makes the consumer group, without which tasks are not kept

    def worker(self, slots: int) -> list[str]:
        command = [sys.executable, "-m", "taskiq", "worker", f"{__name__}:broker"]
        options = ["--workers", "1", "--max-async-tasks", str(slots), "--log-level", "WARNING"]
        return [*command, *options]

    async def ask(self) -> None:
        task = await noop.kiq(body(1))
        await task.wait_result(check_interval=CHECK_EVERY, timeout=60)

    async def submit(self, sleeps: Sequence[Sleep], *, one_shard: bool = False) -> None:  # noqa: ARG002
        for key, seconds in sleeps:
            await sleep.kiq(key, seconds)


class TaskiqTuned(TaskiqOnRedis):
    settings = TaskiqOnRedis.settings + "; idle timeout 10 s, so no task may take longer"

    def environ(self) -> dict[str, str]:
        return super().environ() | {"BENCH_TUNED": "1"}
