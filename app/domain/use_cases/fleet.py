"""What one listener knows of the workers: who lives, what each has in hand, what each has done.

Nobody's wall clock is trusted for who may run what: a lease begins when a heartbeat is heard, by
the listener's own clock, and so never ends before the sender thinks it does.
"""

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.model.fleet import LONGEST_LEASE, Place, WorkerHeartbeat
from app.domain.model.ids import TaskId, WorkerId
from app.ports.fleet import Gone, Heard

Monotonic = Callable[[], float]
"""Seconds of a clock that nobody sets, and that also runs while the machine sleeps."""
Health = Literal["healthy", "stale", "stopped"]

_REMEMBERED = 10_000
_STOPPED_SHOWN = 3_600.0
"""Seconds for which a worker that said goodbye is still shown."""
_STALE_KEPT = 86_400.0
"""Seconds after its lease for which a worker that was not heard of again is still shown."""
_MOST = 1_000
"""How many workers are known at one time. Whoever can write to the topic can claim to be many."""
_SMALL = 16_000
_LARGE = 16_000_000
"""Bytes: a heartbeat that is small always has room; all that are larger share this much."""
_LONGEST_TOPIC = 249
_REMIND = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A worker by its last heartbeat."""

    heartbeat: WorkerHeartbeat
    tasks: frozenset[TaskId]
    heard_at: float
    aged: float
    """How old the heartbeat was when it was heard, by the wall clocks of both."""
    size: int = 0
    """Bytes of the heartbeat."""

    @property
    def lease(self) -> float:
        """Seconds from when it was heard for which it is believed."""
        return min(self.heartbeat.lease_seconds, LONGEST_LEASE)

    def age(self, now: float) -> float:
        return now - self.heard_at + self.aged

    def lease_left(self, now: float) -> float:
        """Seconds for which nobody else may run what it lists; none of one that has stopped."""
        if self.heartbeat.state == "stopped":
            return 0.0
        return max(0.0, self.heard_at + self.lease - now)

    def health(self, now: float) -> Health:
        if self.heartbeat.state == "stopped":
            return "stopped"
        return "healthy" if self.age(now) <= self.lease else "stale"


class Fleet:
    def __init__(
        self,
        monotonic: Monotonic,
        wall: Callable[[], datetime],
        *,
        own: WorkerId | None = None,
        most: int = _MOST,
    ) -> None:
        """`own` is the listener itself where it is a worker: for it there is always room."""
        self._own = own
        self._most = most
        self._reminded_at = self._expired_at = -math.inf
        self.refused = 0
        """How many heartbeats there was no room for."""
        self._monotonic = monotonic
        self._wall = wall
        self._members: dict[WorkerId, Member] = {}
        self._finished: OrderedDict[Place, None] = OrderedDict()
        self._released: dict[TaskId, asyncio.Event] = {}
        self._changed = asyncio.Condition()
        self.in_touch_at: float | None = None
        """When we last knew that nothing escaped us; None before the first word."""

    async def hear(self, heard: Heard) -> None:
        """Note a word; repeats are harmless."""
        now = self._monotonic()
        if isinstance(heard.word, Gone):
            self._forget(heard.word.worker_id)
        else:
            self._note(heard.word, now, live=heard.live)
        if self.in_touch_at is not None and now - self.in_touch_at < _REMIND:
            self._expire(now)
        self.in_touch(now)
        self._release()
        async with self._changed:
            self._changed.notify_all()

    def now(self) -> tuple[float, datetime]:
        """The time, by the clock that members are judged by, and by the one on the wall."""
        return self._monotonic(), self._wall()

    def in_touch(self, at: float) -> None:
        """Nothing that was said before `at` has escaped us."""
        self.in_touch_at = max(at, self.in_touch_at or at)

    def members(self) -> Sequence[Member]:
        """Everybody there is a word of, by name."""
        now = self._monotonic()
        return [
            member
            for _, member in sorted(self._members.items())
            if member.heartbeat.state != "stopped" or member.age(now) < _STOPPED_SHOWN
        ]

    def member(self, worker_id: WorkerId) -> Member | None:
        return self._members.get(worker_id)

    def holder(self, task_id: TaskId, asking: WorkerId) -> Member | None:
        """The other worker that lists this task, whether or not its lease has run out.

        An earlier instance of the asking worker is none: it has ended, or we had not its name.
        """
        holders = [
            member
            for worker_id, member in self._members.items()
            if task_id in member.tasks and worker_id != asking
        ]
        return max(holders, key=lambda member: member.heard_at, default=None)

    def has_finished(self, place: Place) -> bool:
        """Whether a worker dealt with this message after it had lost it."""
        return any(each in self._finished for each in place.possibly)

    def released(self, task_id: TaskId) -> asyncio.Event:
        """Set as soon as no worker lists this task any more."""
        event = self._released.setdefault(task_id, asyncio.Event())
        self._release()
        return event

    async def until_heard(self, worker_id: WorkerId, instance: str, number: int) -> None:
        """Return once we have heard what this instance said, and so all that was said before."""

        def heard() -> bool:
            member = self._members.get(worker_id)
            return (
                member is not None
                and member.heartbeat.instance == instance
                and member.heartbeat.number >= number
            )

        async with self._changed:
            await self._changed.wait_for(heard)

    def _note(self, heartbeat: WorkerHeartbeat, now: float, *, live: bool) -> None:
        known = self._members.get(heartbeat.worker_id)
        if (
            known
            and known.heartbeat.instance == heartbeat.instance
            and known.heartbeat.number >= heartbeat.number
        ):
            return  # read again: it is no younger for that
        aged = 0.0 if live else max(0.0, (self._wall() - heartbeat.at).total_seconds())
        tasks = frozenset(task.task_id for task in heartbeat.running)
        size = len(heartbeat.model_dump_json())
        if not self._has_room(heartbeat.worker_id, size, now):
            self._refuse(heartbeat.worker_id, now)
            return
        self._members[heartbeat.worker_id] = Member(heartbeat, tasks, now, aged, size)
        for each in heartbeat.finished:
            if len(each.topic) > _LONGEST_TOPIC:
                continue
            place = Place(
                topic=each.topic,
                partition=each.partition,
                offset=each.offset,
                written_at=each.written_at,
            )
            self._finished[place] = None
            self._finished.move_to_end(place)
        while len(self._finished) > _REMEMBERED:
            self._finished.popitem(last=False)

    def _has_room(self, worker_id: WorkerId, size: int, now: float) -> bool:
        """Whether there is room, made of those that are gone; who lives is forgotten for nobody."""
        known = worker_id in self._members or len(self._members) < self._most
        if worker_id == self._own or (known and size <= _SMALL):
            return True
        others = {name: each for name, each in self._members.items() if name != worker_id}
        large = sum(each.size for each in others.values() if each.size > _SMALL)
        full = len(others) >= self._most
        if not full and (size <= _SMALL or large + size <= _LARGE):
            return True
        gone = [
            (each.heard_at, name)
            for name, each in others.items()
            if name != self._own
            and (each.heartbeat.state == "stopped" or each.age(now) > each.lease)
        ]
        for _, name in sorted(gone):
            if self._members[name].size > _SMALL:
                large -= self._members[name].size
            del self._members[name]
            full = False
            if size <= _SMALL or large + size <= _LARGE:
                return True
        return not full and (size <= _SMALL or large + size <= _LARGE)

    def _refuse(self, worker_id: WorkerId, now: float) -> None:
        self.refused += 1
        if now - self._reminded_at >= _REMIND:
            self._reminded_at = now
            _log.warning(
                "there is no room for the heartbeat of %.100r: %d workers are known, and %d words "
                "were passed over so far; look who writes to the topic of workers",
                worker_id,
                len(self._members),
                self.refused,
            )

    def _expire(self, now: float) -> None:
        """Forget who was not heard of for very long; while the log is away nobody grows older."""
        if now - self._expired_at < _REMIND:
            return
        self._expired_at = now
        for name, member in list(self._members.items()):
            kept = _STOPPED_SHOWN if member.heartbeat.state == "stopped" else _STALE_KEPT
            if member.age(now) > member.lease + kept:
                del self._members[name]

    def _forget(self, worker_id: WorkerId) -> None:
        """One that said goodbye is still shown for a while."""
        member = self._members.get(worker_id)
        if member and member.heartbeat.state != "stopped":
            del self._members[worker_id]

    def _release(self) -> None:
        if not self._released:
            return
        listed: frozenset[TaskId] = frozenset().union(*(m.tasks for m in self._members.values()))
        for task_id in self._released.keys() - listed:
            self._released.pop(task_id).set()
