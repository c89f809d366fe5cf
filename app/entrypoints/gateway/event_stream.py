"""A task's events as they come, read from the views, so that any replica can go on with them.

Of each followed task the views are asked once for all its readers. What comes is kept for them for
a while, a quarter of a megabyte of it; a reader that is further behind reads for itself, portion by
portion, so none holds more than one portion, however slow it is.
"""

import asyncio
import re
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.domain.model.events import Event, TerminalEvent
from app.domain.model.ids import TaskId
from app.domain.use_cases.await_result import ResultWaiters
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.resources import event_id, event_json
from app.ports.status_store import StatusStore

Position = tuple[int, int]
"""The attempt and the sequence of the last event a reader has."""

START: Position = (0, 0)

POSITION = r"^[0-9]{1,9}\.[0-9]{1,9}$"
"""How the id of an event looks."""
_OPENING = b"retry: 1000\n\n"
_HEARTBEAT = b": still here\n\n"
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0
"""Seconds between looks: short while there is news, ever longer while there is none."""
_LOOKS = 100
"""A second, at all tasks that are followed while there is no news of them."""
_PAUSE_AT_A_GAP = 0.1
"""A gap closes by a trace as well, of which no listener hears."""
_PATIENCE = 2.0
"""Seconds for which events behind a gap are held back."""
_PATIENCE_WITH_THE_VIEWS = 15.0
"""The same for events of just now: what stands before them is on the log, and the views may lag."""
_JUST_NOW = timedelta(minutes=1)
_KEPT_BYTES = 256_000
"""Of each task, for readers that are a little behind."""
_AT_ONCE = 64_000
"""Bytes that are handed to a connection before it has sent what came before."""
_READERS = 4
"""How many of those that are far behind are given a portion at one time."""


def position(text: str) -> Position | None:
    """The position an event id names, or None for what is no event id."""
    if not re.fullmatch(POSITION, text):
        return None
    attempt, sequence = text.split(".")
    return int(attempt), int(sequence)


class GapFree:
    """Puts events of two topics, which the views get one before the other, in their order.

    What stands behind a gap is held back, for it could not be followed by what belongs before it;
    but not for ever, as a trace may never come.
    """

    def __init__(self, after: Position, patience: float) -> None:
        self.after = after
        self._patience = patience
        self._held: dict[Position, float] = {}

    @property
    def holding(self) -> bool:
        """Whether there is more than what may be sent."""
        return bool(self._held)

    def ready(self, events: Sequence[Event], now: float) -> Sequence[Event]:
        """Those that may be sent now, of all that are known behind `after`."""
        since = {place: self._held.get(place, now) for place in map(_place, events)}
        ready = []
        for event in events:
            place = _place(event)
            held = now - since[place]
            died = event.attempt < events[-1].attempt  # what it had not told, it never tells
            patience = self._patience if died else self._patience_with(event)
            if not _follows(place, self.after) and held < patience:
                break
            self.after = place
            ready.append(event)
        self._held = {place: seen for place, seen in since.items() if place > self.after}
        return ready

    def _patience_with(self, event: Event) -> float:
        just_now = abs(datetime.now(UTC) - event.at) < _JUST_NOW
        return max(self._patience, _PATIENCE_WITH_THE_VIEWS) if just_now else self._patience


class _Told:
    """What is told of one task, up to the latest; of what was told last the text is kept."""

    def __init__(self, after: Position) -> None:
        self.latest = self._kept_after = after
        self._kept: deque[tuple[Position, bytes]] = deque()
        self._bytes = 0
        self.over = False
        """Whether the task has ended, and nothing follows."""
        self.failure: Exception | None = None
        self.changed = asyncio.Event()
        """Set as soon as there is more; there is another one then."""

    def add(self, events: Sequence[Event]) -> None:
        for event in events:
            self.latest, text = _place(event), _written(event)
            self._kept.append((self.latest, text))
            self._bytes += len(text)
        while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
            self._kept_after, text = self._kept.popleft()
            self._bytes -= len(text)

    def kept(self, after: Position) -> tuple[Position, bytes] | None:
        """A portion of what follows a position, and the position it reaches.

        None where some of it is not kept any more.
        """
        if after < self._kept_after:
            return None
        portion: list[bytes] = []
        size = 0
        first = bisect_right(self._kept, after, key=lambda each: each[0])
        for number in range(first, len(self._kept)):
            place, text = self._kept[number]
            if portion and size + len(text) > _AT_ONCE:
                break
            portion.append(text)
            size += len(text)
            after = place
        return after, b"".join(portion)

    def notify(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


@dataclass(eq=False)
class _Followed:
    told: _Told
    readers: int = 0
    watching: "asyncio.Task[None] | None" = None


@dataclass(frozen=True, slots=True)
class EventStream:
    """Follows tasks for as many readers as come."""

    store: StatusStore
    waiters: ResultWaiters
    draining: Draining
    heartbeat: float
    patience: float = _PATIENCE
    _followed: dict[TaskId, _Followed] = field(default_factory=dict)
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_READERS))

    async def over(self, task_id: TaskId, after: Position) -> bool:
        """Whether nothing will ever come behind this position."""
        return await self._ended(task_id) and not await self.store.events(task_id, after)

    async def follow(self, task_id: TaskId, after: Position) -> AsyncIterator[bytes]:
        """Everything behind a position, as server-sent events, until the task has ended."""
        yield _OPENING
        clock = asyncio.get_running_loop().time
        spoke = clock()
        with self._following(task_id, after) as told:
            while True:
                changed, kept = told.changed, told.kept(after)
                after, text = kept or await self._read(task_id, after, told.latest)
                for begin in range(0, len(text), _AT_ONCE):  # a connection buffers what it is given
                    yield text[begin : begin + _AT_ONCE]
                    spoke = clock()
                caught_up = after >= told.latest
                if self.draining.begun or (caught_up and told.over):
                    return
                if caught_up and told.failure:
                    raise told.failure
                silent = clock() - spoke
                if silent >= self.heartbeat:
                    yield _HEARTBEAT
                    spoke = clock()
                elif caught_up:
                    await self.draining.sleep(self.heartbeat - silent, changed)

    async def _read(self, task_id: TaskId, after: Position, to: Position) -> tuple[Position, bytes]:
        """A portion of what all have been told already, and where it ends."""
        async with self._reading:
            events = [
                event for event in await self.store.events(task_id, after) if _place(event) <= to
            ]
            text = b"".join(map(_written, events))
        return (_place(events[-1]) if events else to), text

    @contextmanager
    def _following(self, task_id: TaskId, after: Position) -> Iterator[_Told]:
        followed = self._followed.get(task_id)
        if followed is None:
            followed = self._followed[task_id] = _Followed(_Told(after))
            followed.watching = asyncio.create_task(self._watch(task_id, followed))
        followed.readers += 1
        try:
            yield followed.told
        finally:
            followed.readers -= 1
            if not followed.readers and followed.watching:
                followed.watching.cancel()
                self._forget(task_id, followed)

    def _forget(self, task_id: TaskId, followed: _Followed) -> None:
        """Who comes from now on is followed for anew."""
        if self._followed.get(task_id) is followed:
            del self._followed[task_id]

    async def _watch(self, task_id: TaskId, followed: _Followed) -> None:
        try:
            await self._tell(task_id, followed.told)
        except Exception as error:  # noqa: BLE001  # the readers raise it
            followed.told.failure = error
        finally:
            self._forget(task_id, followed)
            followed.told.notify()

    async def _tell(self, task_id: TaskId, told: _Told) -> None:
        """Look for what follows until the task has ended."""
        clock = asyncio.get_running_loop().time
        order = GapFree(told.latest, self.patience)
        pause, asked = _SHORTEST_PAUSE, clock()
        ended = await self._ended(task_id)
        with self.waiters.listening(task_id) as listener:
            while not self.draining.begun:
                async with self._reading:
                    known = await self.store.events(task_id, order.after)
                    events = order.ready(known, clock())
                    told.add(events)
                if events:
                    told.notify()
                    pause = _SHORTEST_PAUSE
                elif ended and not order.holding:
                    told.over = True
                    return
                if _any_terminal(events) or clock() - asked >= self.heartbeat:
                    ended, asked = await self._ended(task_id), clock()
                if ended and not order.holding:
                    continue  # the views get an ending and its event at once: one more look will do
                longest = max(_LONGEST_PAUSE, len(self._followed) / _LOOKS)
                longest = _PAUSE_AT_A_GAP if order.holding else longest
                await self.draining.sleep(min(pause, longest, self.heartbeat), listener.news)
                pause = _SHORTEST_PAUSE if listener.news.is_set() else min(2 * pause, longest)
                listener.news.clear()

    async def _ended(self, task_id: TaskId) -> bool:
        task = await self.store.find(task_id)
        return task is not None and task.state.terminal


def _written(event: Event) -> bytes:
    return f"id: {event_id(event)}\nevent: {event.TYPE}\ndata: {event_json(event)}\n\n".encode()


def _place(event: Event) -> Position:
    return event.attempt, event.sequence


def _follows(place: Position, after: Position) -> bool:
    """Whether nothing of the attempt can stand between; an attempt may never have told anything."""
    return place[1] <= (after[1] + 1 if place[0] == after[0] else 1)


def _any_terminal(events: Sequence[Event]) -> bool:
    return any(isinstance(event, TerminalEvent) for event in events)
