"""Runs a handler for each claim, many at once: in order within a lane only, again where it raises.

A record is done when its handler has returned, and not before.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from aiokafka import TopicPartition

from app.adapters.kafka.claims import (
    FIRST_COME,
    Claim,
    Handler,
    Hold,
    Limits,
    Precedence,
    Record,
    Room,
)
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.lanes import Lanes
from app.adapters.kafka.suspects import Suspects
from app.ports.task_queue import Again

_MOST_DOUBLINGS = 16
_UNTIL_CANCELED = (5.0, 1.0)
"""Seconds that handlers have to stop, after the first and the second time they are told."""
_LOOK_AGAIN = 60.0
"""Seconds after which what is held is looked at again: clocks are set, and machines sleep."""
_CROWDED = 0.9
_ASLEEP = 3.0
"""Seconds without a look at what may run, after which this process has not been running."""
_log = logging.getLogger(__name__)


class Runner:
    """The records a worker has in hand: those that run, and those that wait for their run."""

    def __init__(
        self,
        partitions: Mapping[TopicPartition, Partition],
        commits: Commits,
        limits: Limits,
        hold: Hold | None = None,
        precedence: Precedence = FIRST_COME,
    ) -> None:
        """`hold` is asked before a claim's first run, and again until it holds it no longer."""
        self._partitions = partitions
        self._commits = commits
        self._limits = limits
        self._hold = hold
        self._precedence = precedence
        self._lanes: Lanes[Claim] = Lanes(precedence.ranks, lambda claim: claim.rank)
        self._handler: Handler = _none
        self._looks: dict[bytes | None, dict[Claim, asyncio.TimerHandle]] = {}
        """By key, when what is held will be looked at again."""
        self._suspects = Suspects(partitions, commits)
        self._held = 0
        self._held_urgent = 0
        """Of urgent topics; `held` counts the others."""
        self._held_bytes = 0
        self._running = 0
        self._running_others = 0
        """Those of them whose rank is not urgent, whatever their topic."""
        self._stopping = False
        self._finishing: set[asyncio.Task[None]] = set()
        """Those whose records are another worker's by now."""
        self._awake_at = time.monotonic()
        self._idle = asyncio.Event()
        self.has_room = asyncio.Event()
        """Set when there is room again; whoever waits for it clears it first."""

    def begin(self, handler: Handler) -> None:
        """Run this handler for each record that is added."""
        self._handler = handler

    @property
    def room(self) -> Room:
        """How many records may be added."""
        if self._stopping:
            return Room(0, 0)
        limits = self._limits
        full = self._held_bytes >= limits.buffer_bytes
        others = 0 if full else limits.buffer - self._held
        return Room(others, limits.urgent_buffer - self._held_urgent)

    def add(self, record: Record, partition: Partition) -> None:
        """Take responsibility for a record; `dispatch` lets it run."""
        own = record.key if record.key is not None else record.offset
        lane = (partition.name, record.key is None, own)
        urgent = self._precedence.urgent(record.topic)
        self._count(1, urgent=urgent)
        self._count_bytes(record, partition, 1)
        claim = Claim(record, partition, lane, self._precedence.rank(record), urgent)
        if until := partition.offsets.tries(record.offset).not_before:
            claim.not_before = time.monotonic() + until - time.time()
        if self._hold is None:
            self._lanes.add(lane, claim)
        else:
            self._look_at(claim, self._hold)

    def hurry(self, key: bytes) -> None:
        """Look now at what is held under this key."""
        for claim, timer in list(self._looks.pop(key, {}).items()):
            timer.cancel()
            if self._hold is not None:
                self._look_at(claim, self._hold)

    def dispatch(self) -> None:
        """Start what may run, as far as there are slots."""
        self._doubt_after_sleep()
        while self._running < self._limits.slots and not self._stopping:
            full = self._running_others >= self._limits.slots - self._limits.urgent_slots
            claim = self._lanes.take(self._precedence.urgent_ranks if full else None)
            if claim is None:
                return
            if self._suspects.may_run(claim):
                self._start(claim)

    def lose(self, partition: Partition, finish: bool) -> None:
        """Forget a partition that is no longer ours; stop what runs of it, or let it `finish`."""
        self._lanes.drop(lambda claim: claim.partition is partition)
        urgent = self._precedence.urgent(partition.name.topic)
        self._count(-partition.offsets.unfinished, urgent=urgent)
        self._held_bytes -= partition.held_bytes
        if finish:
            self._finishing |= partition.running
        for task in [*(() if finish else partition.running), *partition.waiting]:
            task.cancel()
        self.has_room.set()

    def oldest_waiting(self) -> Mapping[str, datetime]:
        """When the oldest record came of each topic, of those here that do not run."""
        oldest: dict[str, int] = {}
        for claim in self._lanes:
            record = claim.record
            if not claim.partition.offsets.runs(record.offset):
                known = oldest.get(record.topic, record.timestamp)
                oldest[record.topic] = min(known, record.timestamp)
        return {
            topic: datetime.fromtimestamp(max(at, 0) / 1000, UTC) for topic, at in oldest.items()
        }

    async def drain(self, grace: float) -> None:
        """Start nothing new, let what runs finish for `grace` seconds, cancel the rest."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._running:
                    self._idle.clear()
                    await self._idle.wait()
        await self.cancel()

    async def cancel(self) -> None:
        """Stop all that runs; it stays in the queue."""
        self._stopping = True
        for patience in _UNTIL_CANCELED:
            ours = {task for partition in self._partitions.values() for task in partition.running}
            rest = ours | self._finishing
            if not rest:
                return
            for task in rest:
                task.cancel()
            await asyncio.wait(rest, timeout=patience)
        _log.error("some handlers do not stop; their records stay in the queue")

    def _doubt_after_sleep(self) -> None:
        """What was ours before this process slept need not be ours any more: first ask."""
        now = time.monotonic()
        if now - self._awake_at > _ASLEEP:
            for partition in self._partitions.values():
                partition.doubted = True
        self._awake_at = now

    def _count(self, records: int, *, urgent: bool) -> None:
        if urgent:
            self._held_urgent += records
        else:
            self._held += records

    def _count_bytes(self, record: Record, partition: Partition, sign: int) -> None:
        size = sign * len(record.value or b"")
        self._held_bytes += size
        partition.held_bytes += size

    def _look_at(self, claim: Claim, hold: Hold) -> None:
        """Let a claim run, or look at it again when it may be time for that.

        It has no run before: none that waits counts as interrupted when its worker dies.
        """
        key = claim.record.key
        if looks := self._looks.get(key):
            looks.pop(claim, None)
            if not looks:
                del self._looks[key]
        if claim.lost.is_set() or self._stopping:
            return
        if (seconds := hold(claim, self._crowded_by(claim))) > 0:
            wait = min(seconds, _LOOK_AGAIN)
            timer = asyncio.get_running_loop().call_later(wait, self._look_at, claim, hold)
            self._looks.setdefault(key, {})[claim] = timer
            return
        self._lanes.add(claim.lane, claim)
        self.dispatch()

    def _crowded_by(self, claim: Claim) -> bool:
        """Whether the buffer is nearly full, or the claim keeps its partition's commits behind."""
        limits, reached = self._limits, claim.partition.offsets.next or 0
        return (
            self._held > limits.buffer * _CROWDED
            or self._held_bytes > limits.buffer_bytes * _CROWDED
            or reached - claim.record.offset > limits.window // 2
        )

    def _start(self, claim: Claim) -> None:
        self._running += 1
        self._running_others += claim.rank >= self._precedence.urgent_ranks
        task = asyncio.create_task(self._work(claim))
        claim.partition.running.add(task)
        task.add_done_callback(lambda task: self._worked(claim, task))

    async def _work(self, claim: Claim) -> None:
        offsets, offset = claim.partition.offsets, claim.record.offset
        if claim.lost.is_set():
            return
        claim.tries = offsets.start(offset)
        self._commits.note(claim.partition)
        if self._suspects.running:
            await self._suspects.excuse(self._suspects.running)
        if claim.redelivered or claim.partition.doubted:
            # what was interrupted once may be what kills us: first make this attempt count
            await self._commits.covering(claim.partition)
        if not claim.lost.is_set():
            await self._handler(claim)

    def _worked(self, claim: Claim, task: "asyncio.Task[None]") -> None:
        self._running -= 1
        self._running_others -= claim.rank >= self._precedence.urgent_ranks
        if self._running == 0:
            self._idle.set()
        claim.partition.running.discard(task)
        self._finishing.discard(task)
        failure = None if task.cancelled() else task.exception()
        if not claim.lost.is_set():
            if task.cancelled() or failure:
                self._ended(claim, failure)
                self._again(claim, failure)
            else:
                claim.partition.offsets.complete(claim.record.offset)
                self._commits.note(claim.partition)
                self._lanes.finish(claim.lane)
                self._count(-1, urgent=claim.urgent)
                self._count_bytes(claim.record, claim.partition, -1)
        if following := self._suspects.over(claim):
            self._lanes.retry(following.lane)
        self.dispatch()
        if self._held - self._running <= (self._limits.buffer - self._limits.slots) // 2:
            self.has_room.set()

    def _ended(self, claim: Claim, failure: BaseException | None) -> None:
        """Note that a run is over and its record is not, and when the next one may begin."""
        offsets, offset = claim.partition.offsets, claim.record.offset
        if isinstance(failure, Again):
            until = math.ceil(time.time() + failure.seconds)
            offsets.end(offset, failed=True, counted=failure.counted, not_before=until)
        else:
            offsets.end(offset, failed=False)
        self._commits.note(claim.partition)

    def _again(self, claim: Claim, failure: BaseException | None) -> None:
        if self._stopping:
            return
        if isinstance(failure, Again):
            wait, sooner = failure.seconds, failure.sooner
        else:
            wait, sooner = self._put_off(claim, failure), None
        waiting = asyncio.create_task(self._retry(claim, wait, sooner))
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

    async def _retry(self, claim: Claim, wait: float, sooner: asyncio.Event | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await (sooner or claim.lost).wait()
        if not claim.lost.is_set():
            self._lanes.retry(claim.lane)
            self.dispatch()


async def _none(_: Claim) -> None:
    raise RuntimeError("no handler was given")
