"""Delays in one process: timers, and nothing survives it."""

import asyncio
import heapq
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count

from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.ids import TaskId
from app.ports.delays import DelayQueue, Delays, Due, Release, Unwanted, nothing

_AFTER_A_FAILURE = 0.05
_log = logging.getLogger(__name__)


class MemoryDelays(Delays):
    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self.changed = asyncio.Event()
        self._waiting: list[tuple[datetime, int, SubmitTask]] = []
        self._number = count()

    @property
    def waiting(self) -> list[SubmitTask]:
        """What waits, the next one first."""
        return [command for _, _, command in sorted(self._waiting)]

    async def put(self, command: SubmitTask, not_before: datetime) -> None:
        heapq.heappush(self._waiting, (not_before, next(self._number), command))
        self.changed.set()

    def take(self, unwanted: Unwanted = nothing) -> list[tuple[datetime, int, SubmitTask]]:
        """What is due now, or unwanted; whoever takes it gives back what is not released."""
        due = [entry for entry in self._waiting if unwanted(entry[2].id, entry[2].earlier)]
        if due:
            self._waiting = [entry for entry in self._waiting if entry not in due]
            heapq.heapify(self._waiting)
        while self._waiting and self._waiting[0][0] <= self.now():
            due.append(heapq.heappop(self._waiting))
        return due

    def give_back(self, entry: tuple[datetime, int, SubmitTask]) -> None:
        heapq.heappush(self._waiting, entry)
        self.changed.set()

    def until_due(self) -> float | None:
        """Seconds until something is due; None where nothing waits."""
        if not self._waiting:
            return None
        return (self._waiting[0][0] - self.now()).total_seconds()


class MemoryDelayQueue(DelayQueue):
    """A new queue takes over where the one before it stopped."""

    def __init__(self, delays: MemoryDelays, unwanted: Unwanted = nothing) -> None:
        self._delays = delays
        self._unwanted = unwanted
        self._releasing: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def run(self, release: Release) -> None:
        while not self._stopped:
            self._delays.changed.clear()
            for entry in self._delays.take(self._unwanted):
                task = asyncio.create_task(self._release(entry, release))
                self._releasing.add(task)
                task.add_done_callback(self._releasing.discard)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._delays.until_due()):
                    await self._delays.changed.wait()
        await asyncio.gather(*self._releasing)

    def hurry(self, task_id: TaskId) -> None:  # noqa: ARG002  all are looked at
        self._delays.changed.set()

    async def stop(self) -> None:
        self._stopped = True
        self._delays.changed.set()

    def healthy(self) -> bool:
        return not self._stopped

    async def _release(self, entry: tuple[datetime, int, SubmitTask], release: Release) -> None:
        not_before, number, command = entry
        origin = Origin(
            topic="retries",
            partition=0,
            offset=number,
            timestamp=not_before,
            key=command.id.encode(),
            value=command.model_dump_json().encode(),
        )
        try:
            await release(Due(command, origin))
        except Exception:  # noqa: BLE001  # whatever it was, the task goes on waiting
            _log.exception("a task stays with the delays")
            await asyncio.sleep(_AFTER_A_FAILURE)
            self._delays.give_back(entry)
