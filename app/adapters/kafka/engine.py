"""Many records at once, each acknowledged by itself.

Always polls, so a long task never trips `max.poll.interval.ms`; pauses partitions when full; keeps
order within a key only; commits a record when its handler has returned, and not before.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.assignment import Assignment, ReadCommits
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.lanes import Lanes
from app.adapters.kafka.offsets import UNTRIED, Tries
from app.adapters.kafka.unreadable import read_around
from app.ports.task_queue import Again

_POLL_SECONDS = 0.2
_AFTER_A_POLL_ERROR = 0.5
_MOST_DOUBLINGS = 16
_UNTIL_CANCELED = (5.0, 1.0)
"""Seconds that handlers have to stop, after the first and the second time they are told."""
_SUSPECT = 2
"""Interrupted so often, a record runs beside no other such one."""
_NO_PARTITION = TopicPartition("none", 0)
_log = logging.getLogger(__name__)

Record: TypeAlias = ConsumerRecord[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once."""

    slots: int = 16
    """Records that run at the same time, over all partitions."""
    buffer: int = 64
    """Records held in memory, the running ones included."""
    window: int = 20_000
    """Offsets of one partition between the lowest unfinished record and the highest read."""
    backoff: float = 0.5
    """Seconds before a record whose handler raised runs again; doubles up to `backoff_ceiling`."""
    backoff_ceiling: float = 30.0


@dataclass(eq=False, slots=True)
class Claim:
    """A record this worker is responsible for."""

    record: Record
    partition: Partition = field(repr=False)
    lane: Hashable
    tries: Tries = UNTRIED
    """With the run it is handed out for."""
    put_off: int = 0
    """How often its handler broke since it was read."""

    @property
    def redelivered(self) -> bool:
        """Whether a former owner of the partition may have run it."""
        return self.partition.offsets.may_have_run(self.record.offset)

    @property
    def lost(self) -> asyncio.Event:
        """Set when the partition has gone to another worker."""
        return self.partition.lost


Handler = Callable[[Claim], Awaitable[None]]


class Engine:
    """Runs a handler for each record of a started consumer's subscription."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        commits_of_group: ReadCommits,
        limits: Limits,
        *,
        exact_ends: bool = True,
    ) -> None:
        self._consumer = consumer
        self._limits = limits
        self._lanes: Lanes[Claim] = Lanes()
        self._partitions: dict[TopicPartition, Partition] = {}
        self._commits = Commits(consumer, self._partitions)
        self.assignment = Assignment(
            consumer,
            self._partitions,
            self._commits,
            commits_of_group,
            self._lose,
            exact_ends=exact_ends,
        )
        self._alone = asyncio.Semaphore(1)
        self._held = 0
        self._running = 0
        self._stopping = False
        self._room = asyncio.Event()
        self._ended = asyncio.Event()
        self._idle = asyncio.Event()
        self._polled_at = -math.inf

    async def run(self, handler: Handler) -> None:
        """Work until `stop` is done; raise what ends the polling for good, and stop what runs."""
        loops = [
            asyncio.create_task(self._poll(handler), name="poll"),
            asyncio.create_task(self._commits.run(), name="commit"),
            asyncio.create_task(self._ended.wait(), name="ended"),
        ]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in done:
                loop.result()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            self._stopping = True
            await self._cancel_running()
            for partition in self._partitions.values():
                for waiting in list(partition.waiting):
                    waiting.cancel()

    async def stop(self, grace: float) -> None:
        """Take nothing new, let what runs finish for `grace` seconds, cancel the rest, commit."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._running:
                    self._idle.clear()
                    await self._idle.wait()
        await self._cancel_running()
        await self._commits.close()
        self._ended.set()

    async def _cancel_running(self) -> None:
        for patience in _UNTIL_CANCELED:
            rest = {task for partition in self._partitions.values() for task in partition.running}
            if not rest:
                return
            for task in rest:
                task.cancel()
            await asyncio.wait(rest, timeout=patience)
        _log.error("some handlers do not stop; their records stay in the queue")

    def healthy(self, within: float = 30.0) -> bool:
        """Whether the last poll is no older than `within` seconds."""
        return asyncio.get_running_loop().time() - self._polled_at < within

    # --- reading

    async def _poll(self, handler: Handler) -> None:
        while True:
            self._room.clear()
            room = 0 if self._stopping else self._limits.buffer - self._held
            wanted = self._wanted() if room > 0 else []
            try:
                self._pause_all_but(wanted)
                records = await self._fetch(wanted, room)
            except UnicodeDecodeError:
                records = await self._read_around(wanted)
            except (KafkaError, IllegalStateError) as error:
                _log.warning("polling failed, trying again: %r", error)
                await asyncio.sleep(_AFTER_A_POLL_ERROR)
                await self.assignment.seek_back()
                continue
            self._polled_at = asyncio.get_running_loop().time()
            if records:
                async with self.assignment.unchanged:
                    for name, batch in records.items():
                        if partition := self._partitions.get(name):
                            await self._take(partition, batch)
            self._dispatch(handler)

    def _wanted(self) -> list[TopicPartition]:
        assigned = self._consumer.assignment()
        return [
            name
            for name, partition in self._partitions.items()
            if name in assigned
            and not partition.offsets.blocked
            and partition.offsets.window < self._limits.window
        ]

    def _pause_all_but(self, wanted: Iterable[TopicPartition]) -> None:
        assigned, paused = self._consumer.assignment(), self._consumer.paused()
        if resume := paused & set(wanted):
            self._consumer.resume(*resume)
        if pause := assigned - set(wanted) - paused:
            self._consumer.pause(*pause)

    async def _fetch(
        self, wanted: list[TopicPartition], room: int
    ) -> Mapping[TopicPartition, list[Record]]:
        records: Mapping[TopicPartition, list[Record]]
        if wanted:  # named, so that what was fetched of the paused ones is kept
            timeout = int(_POLL_SECONDS * 1000)
            records = await self._consumer.getmany(*wanted, timeout_ms=timeout, max_records=room)
            return records
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self._room.wait()
        # a poll that can return nothing: it only tells the group that we are alive
        records = await self._consumer.getmany(_NO_PARTITION, timeout_ms=0)
        return records

    async def _read_around(
        self, wanted: list[TopicPartition]
    ) -> Mapping[TopicPartition, list[Record]]:
        try:
            positions = {
                name: following
                if (following := self._partitions[name].offsets.next) is not None
                else await self._consumer.position(name)
                for name in wanted
            }
            records, _ = await read_around(self._consumer, positions)
        except (KafkaError, IllegalStateError, KeyError):
            await self.assignment.seek_back()
            return {}  # the partitions changed meanwhile: the next poll finds it again
        return records

    async def _take(self, partition: Partition, batch: list[Record]) -> None:
        if partition.offsets.went_back(batch[0].offset):
            partition = await self.assignment.check(partition)
        for record in batch:
            if not partition.offsets.accept(record.offset):
                self._commits.note(partition)
                continue
            own = record.key if record.key is not None else record.offset
            lane = (partition.name, record.key is None, own)
            self._lanes.add(lane, Claim(record, partition, lane))
            self._held += 1

    # --- running

    def _dispatch(self, handler: Handler) -> None:
        while self._running < self._limits.slots and not self._stopping:
            claim = self._lanes.take()
            if claim is None:
                return
            self._running += 1
            task = asyncio.create_task(self._work(claim, handler))
            claim.partition.running.add(task)
            task.add_done_callback(partial(self._worked, claim, handler))

    async def _work(self, claim: Claim, handler: Handler) -> None:
        offsets, offset = claim.partition.offsets, claim.record.offset
        suspect = offsets.tries(offset).interrupted >= _SUSPECT
        async with self._alone if suspect else contextlib.nullcontext():
            if claim.lost.is_set():
                return
            claim.tries = offsets.start(offset)
            self._commits.note(claim.partition)
            if claim.redelivered:
                # what was interrupted once may be what kills us: first make this attempt count
                await self._commits.covering(claim.partition)
            if not claim.lost.is_set():
                await handler(claim)

    def _worked(self, claim: Claim, handler: Handler, task: "asyncio.Task[None]") -> None:
        self._running -= 1
        if self._running == 0:
            self._idle.set()
        claim.partition.running.discard(task)
        failure = None if task.cancelled() else task.exception()
        if not claim.lost.is_set():
            if task.cancelled() or failure:
                failed = isinstance(failure, Again)
                claim.partition.offsets.end(claim.record.offset, failed=failed)
                self._again(claim, failure, handler)
            else:
                claim.partition.offsets.complete(claim.record.offset)
                self._commits.note(claim.partition)
                self._lanes.finish(claim.lane)
                self._held -= 1
        self._dispatch(handler)
        if self._held - self._running <= (self._limits.buffer - self._limits.slots) // 2:
            self._room.set()

    def _again(self, claim: Claim, failure: BaseException | None, handler: Handler) -> None:
        if self._stopping:
            return
        if isinstance(failure, Again):
            self._commits.note(claim.partition)
            wait, sooner = failure.seconds, failure.sooner
        else:
            wait, sooner = self._put_off(claim, failure), None
        waiting = asyncio.create_task(self._retry(claim, handler, wait, sooner))
        claim.partition.waiting.add(waiting)
        waiting.add_done_callback(claim.partition.waiting.discard)

    def _put_off(self, claim: Claim, failure: BaseException | None) -> float:
        doubled: float = self._limits.backoff * 2 ** min(claim.put_off, _MOST_DOUBLINGS)
        wait = min(doubled, self._limits.backoff_ceiling)
        claim.put_off += 1
        _log.error(
            "%s@%s stays in the queue, again in %.1f s",
            claim.partition.name,
            claim.record.offset,
            wait,
            exc_info=failure,
        )
        return wait

    async def _retry(
        self, claim: Claim, handler: Handler, wait: float, sooner: asyncio.Event | None
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await (sooner or claim.lost).wait()
        if not claim.lost.is_set():
            self._lanes.retry(claim.lane)
            self._dispatch(handler)

    def _lose(self, partition: Partition) -> None:
        self._lanes.drop(lambda claim: claim.partition is partition)
        self._held -= partition.offsets.unfinished
        for task in [*partition.running, *partition.waiting]:
            task.cancel()
        self._room.set()
