"""What clients without asyncio share: a thread for each question, and two loops for many."""

import asyncio
import os
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import redis

from benchmarks.system import REDIS, Sleep, System

Wait = Callable[[float], object]
"""Returns when the result is known, or raises after that many seconds."""


class Threaded(System):
    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(128))
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def fresh(self) -> None:
        await asyncio.to_thread(forget)

    @abstractmethod
    def send(self) -> Wait:
        """Submit a no-op."""

    @abstractmethod
    def send_sleep(self, sleep: Sleep) -> None: ...

    async def ask(self) -> None:
        await asyncio.to_thread(lambda: self.send()(60))

    async def flood(self, tasks: int, within: float) -> int:
        return await asyncio.to_thread(self._flood, tasks, within)

    async def submit(self, sleeps: Sequence[Sleep], *, one_shard: bool = False) -> None:  # noqa: ARG002
        def send_all() -> None:
            for sleep in sleeps:
                self.send_sleep(sleep)

        await asyncio.to_thread(send_all)

    def _flood(self, tasks: int, within: float) -> int:
        ends = time.perf_counter() + within
        sent = [self.send() for _ in range(tasks)]
        done = 0
        for wait in sent:
            if (left := ends - time.perf_counter()) <= 0:
                break
            try:
                wait(left)
            except Exception:  # noqa: BLE001  each has its own word for a result that is late
                break
            done += 1
        return done


def forget() -> None:
    """Empty the whole Redis, which is the benchmark's own."""
    with redis.Redis.from_url(os.environ[REDIS]) as client:
        client.flushall()
