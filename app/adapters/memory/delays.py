"""Delays in one process: timers, and nothing survives it."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from app.domain.model.commands import SubmitTask
from app.ports.delays import DelayQueue, Delays, Release


class MemoryDelays(Delays, DelayQueue):
    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._waiting: list[tuple[datetime, int, SubmitTask]] = []
        self._number = count()
        self._changed = asyncio.Event()
        self._stopped = False

    @property
    def waiting(self) -> list[SubmitTask]:
        """What waits, the next one first."""
        return [command for _, _, command in sorted(self._waiting)]

    async def put(self, command: SubmitTask, not_before: datetime) -> None:
        heapq.heappush(self._waiting, (not_before, next(self._number), command))
        self._changed.set()

    async def run(self, release: Release) -> None:
        while not self._stopped:
            self._changed.clear()
            seconds = self._until_due()
            if seconds is not None and seconds <= 0:
                await release(self._waiting[0][2])
                heapq.heappop(self._waiting)
                continue
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def stop(self) -> None:
        self._stopped = True
        self._changed.set()

    def _until_due(self) -> float | None:
        if not self._waiting:
            return None
        return (self._waiting[0][0] - self._now()).total_seconds()
