"""A queue of one process: records and an owner that can be replaced, as a worker's death would."""

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass, field

from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from app.ports.task_queue import Delivery, Handle, TaskQueue, Undecodable

_BACKOFF = 0.01


@dataclass(slots=True)
class _Entry:
    content: SubmitTask | Undecodable
    origin: Origin
    key: str
    attempts: int = 0
    done: bool = False


@dataclass(slots=True)
class MemoryTasks:
    """What waits, shared by all queues that are made of it; it outlives each of them."""

    entries: list[_Entry] = field(default_factory=list)
    grew: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, content: SubmitTask | Undecodable, origin: Origin) -> None:
        """Queue a message behind those of its conversation."""
        of_its_own = f"#{len(self.entries)}"
        key = (content.context_id or content.id) if isinstance(content, SubmitTask) else of_its_own
        self.entries.append(_Entry(content, origin, key))
        self.grew.set()


class MemoryTaskQueue(TaskQueue):
    def __init__(self, tasks: MemoryTasks, slots: int = 16) -> None:
        self._tasks = tasks
        self._slots = asyncio.Semaphore(slots)
        self._lanes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._lost = asyncio.Event()
        self._stopping = False
        self._running: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._taken_over = len(tasks.entries)

    async def run(self, handle: Handle) -> None:
        position = 0
        while not self._stopping:
            self._tasks.grew.clear()
            for index, entry in enumerate(self._tasks.entries[position:], start=position):
                if not entry.done:
                    task = asyncio.create_task(self._work(index, entry, handle))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
            position = len(self._tasks.entries)
            await self._tasks.grew.wait()

    async def stop(self, grace: float) -> None:
        self._stopping = True
        for idle in self._running - self._busy:
            idle.cancel()
        if self._busy:
            await asyncio.wait(self._busy, timeout=grace)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._tasks.grew.set()

    def healthy(self) -> bool:
        return not self._stopping

    async def _work(self, index: int, entry: _Entry, handle: Handle) -> None:
        redelivered = index < self._taken_over and entry.attempts > 0
        async with self._lanes[entry.key]:
            while not entry.done:
                async with self._slots:
                    entry.attempts += 1
                    delivery = Delivery(
                        entry.content, entry.origin, entry.attempts, redelivered, self._lost
                    )
                    entry.done = await self._hand_over(delivery, handle)
                if not entry.done:
                    await asyncio.sleep(_BACKOFF)

    async def _hand_over(self, delivery: Delivery, handle: Handle) -> bool:
        current = asyncio.current_task()
        assert current is not None  # noqa: S101  # we are inside one
        self._busy.add(current)
        try:
            with contextlib.suppress(Exception):
                await handle(delivery)
                return True
            return False
        finally:
            self._busy.discard(current)
