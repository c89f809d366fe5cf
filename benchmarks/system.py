"""The one shape of all that is measured: a worker process, and a client that knows results."""

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from benchmarks.figures import Extent, Figures

KAFKA, REDIS, TEMPORAL = "BENCH_KAFKA", "BENCH_REDIS", "BENCH_TEMPORAL"
"""Where the servers' addresses are told, to clients and workers alike."""


class Sleep(NamedTuple):
    """A task that sleeps, and notes in the ledger when it begins and ends."""

    key: str
    seconds: float


class System(ABC):
    """One system's client. Its tasks are no-ops, whose results it awaits, and sleeps, whose lines
    in the ledger are all that is asked of them."""

    package: ClassVar[str]
    """Whose version belongs to the figures."""
    settings: ClassVar[str]
    """What was set, for the reader of the figures."""
    slots: ClassVar[int]
    """Slots of one worker process for no-ops, as its users would set them or better."""
    runs_sleeps: ClassVar[bool] = True
    """Whether there is something to crash: a bare loop has no tasks."""
    second_worker: ClassVar[bool] = False
    """Whether to measure also that a killed worker never returns and another one is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Connect the client."""

    @abstractmethod
    async def __aexit__(self, *_: object) -> None: ...

    @abstractmethod
    async def fresh(self) -> None:
        """Give the next worker an empty queue: what the last one left behind is not its work."""

    @abstractmethod
    def worker(self, slots: int) -> list[str]:
        """The command line of one worker process on the present queue."""

    def environ(self) -> dict[str, str]:
        """What a worker's environment has."""
        return dict(os.environ)

    @abstractmethod
    async def ask(self) -> None:
        """Submit one no-op and return once its result is known."""

    async def flood(self, tasks: int, within: float) -> int:
        """Submit many no-ops as fast as may be; how many results were known in time.

        Here with 200 in flight; overridden where a client is faster another way.
        """
        ends = time.perf_counter() + within
        numbers = iter(range(tasks))
        done = 0

        async def one_after_another() -> None:
            nonlocal done
            for _ in numbers:
                if time.perf_counter() > ends:
                    return
                await self.ask()
                done += 1

        await asyncio.gather(*(one_after_another() for _ in range(200)))
        return done

    @abstractmethod
    async def submit(self, sleeps: Sequence[Sleep], *, one_shard: bool = False) -> None:
        """Submit tasks without waiting for them; to a single ordered part of the queue if told."""

    async def more(self, extent: Extent) -> Figures:  # noqa: ARG002
        """What only this system has to be measured."""
        return {}
