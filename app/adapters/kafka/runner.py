"""Runs a handler for each claim, many at once: in order within a lane only, again where it raises.

A record is done when its handler has returned, and not before.
"""

import asyncio
import contextlib
import logging
import math
import sys
import time
from collections.abc import Mapping
from datetime import datetime

from aiokafka import TopicPartition

from app.adapters.kafka.bodies import moment
from app.adapters.kafka.buffer import Buffer
from app.adapters.kafka.claims import (
    FIRST_COME,
    Claim,
    Handler,
    Hold,
    Limits,
    Precedence,
    Record,
)
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.held import Held
from app.adapters.kafka.lanes import Lanes
from app.adapters.kafka.pauses import Pauses
from app.adapters.kafka.slots import Slots
from app.adapters.kafka.suspects import Suspects
from app.adapters.kafka.turns import AtMost, Room
from app.domain.model.errors import Unavailable
from app.domain.model.readable import words
from app.ports.task_queue import Again

_UNTIL_CANCELED = (5.0, 1.0)
"""Seconds that handlers have to stop, after the first and the second time they are told."""
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
        self._precedence = precedence
        self._lanes: Lanes[Claim] = Lanes(
            precedence.ranks, lambda claim: claim.rank, lambda claim: claim.record.topic
        )
        self._handler: Handler = _none
        self._suspects = Suspects(partitions, commits)
        self._buffer = Buffer(limits, precedence.urgent)
        self._slots = Slots(limits, precedence)
        self._held = Held(hold, self._buffer.crowded_by, self._let_run) if hold else None
        self._pauses = Pauses(limits, self._run_again)
        self._stopping = False
        self._finishing: set[asyncio.Task[None]] = set()
        """Those whose records are another worker's by now."""
        self._awake_at = _now()
        self.has_room = asyncio.Event()
        """Set when there is room again; whoever waits for it clears it first."""

    def begin(self, handler: Handler) -> None:
        """Run this handler for each record that is added."""
        self._handler = handler

    @property
    def room(self) -> Room:
        """How many records may be added."""
        return AtMost(0) if self._stopping else self._buffer.room

    def add(self, record: Record, partition: Partition) -> None:
        """Take responsibility for a record; `dispatch` lets it run."""
        own = record.key if record.key is not None else record.offset
        lane = (partition.name, record.key is None, own)
        urgent = self._precedence.urgent(record.topic)
        claim = Claim(record, partition, lane, self._precedence.rank(record), urgent)
        if until := partition.offsets.tries(record.offset).not_before:
            claim.not_before = time.monotonic() + until - time.time()
        self._buffer.add(claim)
        if self._held is None:
            self._lanes.add(lane, claim)
        else:
            self._held.look_at(claim)

    def hurry(self, key: bytes) -> None:
        """Look now at what is held under this key."""
        if self._held is not None:
            self._held.hurry(key)

    def dispatch(self) -> None:
        """Start what may run, as far as there are slots."""
        self._doubt_after_sleep()
        slots = self._slots
        while slots.free and not self._stopping:
            claim = self._lanes.take(slots.ranks, slots.running_of)
            if claim is None:
                return
            if self._suspects.may_run(claim):
                self._start(claim)

    def lose(self, partition: Partition, finish: bool) -> None:
        """Forget a partition that is no longer ours; stop what runs of it, or let it `finish`."""
        self._lanes.drop(lambda claim: claim.partition is partition)
        self._buffer.lose(partition)
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
        return {topic: moment(max(at, 0)) for topic, at in oldest.items()}

    async def drain(self, grace: float) -> None:
        """Start nothing new, let what runs finish for `grace` seconds, cancel the rest."""
        self._stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._slots.all_free()
        await self.cancel()

    async def cancel(self) -> None:
        """Stop all that runs; it stays in the queue."""
        self._stop()
        for patience in _UNTIL_CANCELED:
            rest = self._at_work()
            if not rest:
                return
            for task in rest:
                task.cancel()
            await asyncio.wait(rest, timeout=patience)
        if self._at_work():
            _log.error("some handlers do not stop; their records stay in the queue")

    def _at_work(self) -> set["asyncio.Task[None]"]:
        ours = {task for partition in self._partitions.values() for task in partition.running}
        return ours | self._finishing

    def _stop(self) -> None:
        self._stopping = True
        if self._held is not None:
            self._held.stop()

    def _doubt_after_sleep(self) -> None:
        """What was ours before this process slept need not be ours any more: first ask."""
        now = _now()
        if now - self._awake_at > _ASLEEP:
            for partition in self._partitions.values():
                partition.doubted = True
        self._awake_at = now

    def _let_run(self, claim: Claim) -> None:
        self._lanes.add(claim.lane, claim)
        self.dispatch()

    def _run_again(self, claim: Claim) -> None:
        self._lanes.retry(claim.lane)
        self.dispatch()

    def _start(self, claim: Claim) -> None:
        self._slots.take(claim)
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
        self._slots.give_back(claim)
        claim.partition.running.discard(task)
        self._finishing.discard(task)
        failure = None if task.cancelled() else task.exception()
        if not claim.lost.is_set():
            if task.cancelled() or failure:
                self._ended(claim, failure)
                if not self._stopping:
                    self._pauses.begin(claim, failure)
            else:
                claim.partition.offsets.complete(claim.record.offset)
                self._commits.note(claim.partition)
                self._lanes.finish(claim.lane)
                self._buffer.remove(claim)
        for waiting in self._suspects.over(claim):
            self._lanes.retry(waiting.lane)
        self.dispatch()
        topic = claim.record.topic
        if self._buffer.half_empty(self._slots.running, topic, self._slots.running_of(topic)):
            self.has_room.set()

    def _ended(self, claim: Claim, failure: BaseException | None) -> None:
        """Note that a run is over and its record is not, and when the next one may begin."""
        offsets, offset = claim.partition.offsets, claim.record.offset
        if isinstance(failure, Again):
            until = math.ceil(time.time() + failure.seconds)
            offsets.end(offset, failed=True, counted=failure.counted, not_before=until)
        else:
            broke = failure is not None and not isinstance(failure, Unavailable)
            offsets.end(offset, failed=False, broke=broke)
            if failure is not None and broke:
                claim.broke_by = words(failure)
        self._commits.note(claim.partition)


def _now() -> float:
    """By a clock that, on Linux, runs on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


async def _none(_: Claim) -> None:
    raise RuntimeError("no handler was given")
