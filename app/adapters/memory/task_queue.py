"""The memory log's commands as a queue; a new queue takes over where the one before it stopped."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.slots import Slots
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.errors import Unavailable
from app.domain.model.fleet import Share
from app.domain.model.ids import AgentName
from app.domain.model.readable import words
from app.ports.event_log import Recorded, Shard
from app.ports.task_queue import (
    Again,
    Deleted,
    Delivery,
    Handle,
    Retained,
    Shares,
    TaskQueue,
    WorkerSlept,
)

_BACKOFF = 0.01
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    attempts: int = 0
    failures: int = 0
    interrupted: int = 0
    broke_by: str | None = None
    not_before: float = 0.0
    """By the monotonic clock."""
    done: bool = False


@dataclass(slots=True)
class MemoryTasks:
    """What has become of the log's commands; it outlives the queues that hand them out."""

    log: MemoryEventLog
    entries: defaultdict[tuple[Shard, int], _Entry] = field(
        default_factory=lambda: defaultdict(_Entry)
    )

    def after(self, positions: dict[Shard, int]) -> Iterator[Recorded]:
        """The commands behind these positions, which move along."""
        for shard, end in self.log.ends().items():
            start = positions.get(shard, 0)
            positions[shard] = end
            for record in self.log.records(shard, start, end - start):
                if isinstance(record.message, SubmitTask):
                    yield record


class MemoryTaskQueue(TaskQueue, Shares, Retained):
    def __init__(self, tasks: MemoryTasks, slots: int = 16, *, urgent_slots: int = 0) -> None:
        self._tasks = tasks
        self._slots = Slots(slots, urgent=urgent_slots)
        self._lanes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._taken_over = dict(tasks.log.ends())
        self._lost = asyncio.Event()
        self._stopping = False
        self._waiting: set[asyncio.Task[None]] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._shards: set[Shard] = set()
        """Those that ever held a task."""
        self._asked: dict[asyncio.Task[None], tuple[str, datetime]] = {}
        """The topic of each that waits or runs, and when it came."""

    async def run(self, handle: Handle) -> None:
        positions: dict[Shard, int] = {}
        while not self._stopping:
            for record in self._tasks.after(positions):
                task = asyncio.create_task(self._hand_out(record, handle))
                self._waiting.add(task)
                self._shards.add(record.shard)
                self._asked[task] = record.shard.topic, datetime.now(UTC)
                task.add_done_callback(self._forget)
            await self._tasks.log.until(
                lambda: self._stopping or positions != dict(self._tasks.log.ends())
            )

    async def stop(self, grace: float) -> None:
        self._stopping = True
        await self._tasks.log.wake()
        for task in self._waiting - self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def shares(self) -> Sequence[Share]:
        waiting: defaultdict[str, list[datetime]] = defaultdict(list)
        for task in self._waiting - self._running:
            topic, submitted_at = self._asked[task]
            waiting[topic].append(submitted_at)
        ours: defaultdict[str, list[int]] = defaultdict(list)
        for shard in self._shards:
            ours[shard.topic].append(shard.partition)
        return [
            Share(
                topic=topic,
                partitions=tuple(sorted(partitions)),
                lag=len(waiting[topic]),
                oldest_waiting_at=min(waiting[topic], default=None),
            )
            for topic, partitions in sorted(ours.items())
        ]

    async def deleted(self) -> Sequence[Deleted]:
        return ()  # memory keeps all

    def leave_to_others(self, agent: AgentName) -> None:
        """There is no other worker."""

    def healthy(self) -> bool:
        return not self._stopping

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._waiting.discard(task)
        del self._asked[task]

    async def _hand_out(self, record: Recorded, handle: Handle) -> None:
        command = record.message
        if not isinstance(command, SubmitTask):
            raise TypeError(f"{type(command).__name__} is no task")
        entry = self._tasks.entries[record.shard, record.offset]
        inherited = entry.not_before
        async with self._lanes[command.context_id or command.id]:
            while not entry.done:
                async with self._slots.one(command.priority, command.agent):
                    entry.attempts += 1
                    delivery = self._delivery(command, record, entry)
                    delivery.wait = max(0.0, inherited - time.monotonic())
                    again = await self._run(delivery, handle, entry)
                if self._stopping:
                    return
                if not entry.done:
                    await _wait_for(again)

    def _delivery(self, command: SubmitTask, record: Recorded, entry: _Entry) -> Delivery:
        origin = Origin(
            topic=record.shard.topic,
            partition=record.shard.partition,
            offset=record.offset,
            timestamp=command.submitted_at,
            key=(command.context_id or command.id).encode(),
            value=command.model_dump_json().encode(),
            headers=(("traceparent", trace.encode()),) if (trace := command.traceparent) else (),
        )
        before = record.offset < self._taken_over.get(record.shard, 0)
        earlier = command.earlier
        return Delivery(
            command,
            origin,
            earlier.attempts + entry.attempts,
            before,
            self._lost,
            failures=earlier.failures + entry.failures,
            interrupted=entry.interrupted,
            predates_owner=before,
            broke_by=entry.broke_by,
        )

    async def _run(self, delivery: Delivery, handle: Handle, entry: _Entry) -> Again:
        """Hand it out; when it comes again, unless the entry is done."""
        current = asyncio.current_task()
        if current:
            self._running.add(current)
        try:
            await handle(delivery)
            entry.done = True
        except Again as again:
            if again.counted:
                entry.failures += 1
                entry.not_before = time.monotonic() + again.seconds
            else:
                entry.attempts -= 1
            return again
        except asyncio.CancelledError:
            if self._stopping:
                raise
            if delivery.blamed:
                entry.interrupted += 1
                entry.broke_by = words(WorkerSlept())
            _log.warning("a task that was stopped stays in the queue")
        except Unavailable as away:
            _log.warning("a task stays in the queue: %s", away.message)
        except Exception as error:  # noqa: BLE001  # whatever it was, the task comes again
            entry.interrupted += 1
            entry.broke_by = words(error)
            _log.exception("a task stays in the queue")
        finally:
            if current:
                self._running.discard(current)
        return Again(_BACKOFF)


async def _wait_for(again: Again) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(again.seconds):
            await (again.sooner or asyncio.Event()).wait()
