"""What a worker runs, and for how long it may go on with it when it cannot say that it does.

A worker whose heartbeats arrive holds a lease on all they list. Others count it from the moment
they hear of it; the worker counts from the moment it began to say so, and a margin less. So it
stops before anybody else begins, as long as no clock runs much faster than another.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.model.commands import SubmitTask
from app.domain.model.fleet import Place, TaskInHand
from app.domain.model.ids import TaskId
from app.domain.use_cases.fleet import Monotonic
from app.ports.agent_runtime import NamedRun
from app.ports.task_queue import Delivery

LONG = 0.1
"""Seconds after which a task is worth a heartbeat of its own."""
_MARGIN = 2 / 9
"""Of the lease, in which a run that is told to stop unwinds, and clocks may differ."""
_FROZEN = 0.5
"""Of the lease; where nothing at all was done for so long, the process did not run."""


@dataclass(eq=False, slots=True)
class Hold:
    """A delivery in hand."""

    command: SubmitTask
    delivery: Delivery
    began: float
    work: "asyncio.Task[object] | None"
    hands: "TasksInHand"
    fenced: bool = False
    """Whether it must stop because its lease is over."""
    gone: asyncio.Event | None = None
    """Set when it is in hand no more, where somebody waits for that."""

    def over(self) -> bool:
        """Whether the run must do nothing more: somebody else may have begun it."""
        return self.fenced or (not self.hands.leased and self.hands.lapsed(self))

    def fence(self) -> None:
        """Stop it; an agent may ask from a thread of its own."""
        if not self.fenced:
            self.fenced = True
            if self.work:
                self.work.get_loop().call_soon_threadsafe(self.work.cancel)

    @property
    def place(self) -> Place:
        return place_of(self.delivery)


class TasksInHand:
    def __init__(
        self,
        lease_seconds: float,
        monotonic: Monotonic,
        *,
        strict: bool = False,
        culprit: Callable[[float], TaskId | None] = lambda _: None,
    ) -> None:
        """`culprit` says which task has kept everything else from running since a time, if known.

        Where it is `strict`, what we own is stopped too when no heartbeat arrives in time.

        Otherwise only what was lost to another worker is: an outage of the log is no reason to
        run everything again, as nobody else is given anything either.
        """
        self.lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._strict = strict
        self._culprit = culprit
        self._holds: set[Hold] = set()
        self._until = monotonic() + lease_seconds * (1 - _MARGIN)
        self._awake_at = monotonic()
        self.interrupted = False
        """Whether the lease was over for a while since somebody last set this to False."""

    def __iter__(self) -> Iterator[Hold]:
        return iter(self._holds)

    def __len__(self) -> int:
        return len(self._holds)

    def take(self, command: SubmitTask, delivery: Delivery) -> Hold:
        work = asyncio.current_task()
        if work is not None:
            work.set_name(NamedRun(command.agent, command.id).name)
        hold = Hold(command, delivery, self._monotonic(), work, self)
        self._holds.add(hold)
        return hold

    def let_go(self, hold: Hold) -> None:
        self._holds.discard(hold)
        if hold.gone:
            hold.gone.set()

    def of(self, command: SubmitTask) -> Hold | None:
        """The task in our own hands, by another delivery."""
        return next((hold for hold in self._holds if hold.command.id == command.id), None)

    def renew(self, said_at: float) -> None:
        """A heartbeat that was begun at that time has arrived."""
        self._until = max(self._until, said_at + self.lease_seconds * (1 - _MARGIN))

    @property
    def leased(self) -> bool:
        """Whether our heartbeats arrive."""
        return self._monotonic() <= self._until

    @property
    def may_begin(self) -> bool:
        """Whether a run that begins now would not have to stop at once."""
        return not self._strict or self.leased

    def look(self) -> bool:
        """To be called many times a second; True: the process has just been asleep too long.

        Everything it held may be somebody else's by now.
        """
        now = self._monotonic()
        slept = self._slept(now)
        self.interrupted = self.interrupted or now > self._until
        if slept:
            for hold in self._holds:
                self._blame(hold)
                hold.fence()
        elif now > self._until:
            for hold in self._holds:
                if self._strict or hold.delivery.lost.is_set():
                    hold.fence()
        self._awake_at = now
        return slept

    def lapsed(self, hold: Hold) -> bool:
        """Ask for one run, right before it does something that others can see."""
        now = self._monotonic()
        lost = self._strict or hold.delivery.lost.is_set()
        slept = self._slept(now)
        if slept:
            self._blame(hold)
        if slept or (lost and now > self._until):
            hold.fence()
        return hold.fenced

    def _blame(self, hold: Hold) -> None:
        """Where nobody knows who kept us from working, all are suspected that ran."""
        if not hold.fenced:
            hold.delivery.blamed = self._culprit(self._awake_at) in (None, hold.command.id)

    def _slept(self, now: float) -> bool:
        asleep = now - self._awake_at
        return asleep > self.lease_seconds * _FROZEN and now > self._until

    def oldest(self) -> float:
        """For how many seconds the oldest has been in hand."""
        now = self._monotonic()
        return max((now - hold.began for hold in self._holds), default=0.0)

    def long(self) -> frozenset[Hold]:
        """Those that have run for a while."""
        before = self._monotonic() - LONG
        return frozenset(hold for hold in self._holds if hold.began <= before)

    def listed(self, at: datetime) -> Sequence[TaskInHand]:
        """All of them, as a heartbeat of that time tells them."""
        now = self._monotonic()
        return [
            TaskInHand.model_construct(
                task_id=hold.command.id,
                agent=hold.command.agent,
                attempt=hold.delivery.attempt,
                started_at=at - timedelta(seconds=now - hold.began),
                place=hold.place,
            )
            for hold in sorted(self._holds, key=lambda hold: hold.began)
        ]


def place_of(delivery: Delivery) -> Place:
    origin = delivery.origin
    return Place(
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        written_at=origin.timestamp,
    )
