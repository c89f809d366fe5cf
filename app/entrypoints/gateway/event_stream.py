"""A task's events as they come, read from the views, so that any replica can go on with them."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.domain.model.events import Event, TerminalEvent
from app.domain.model.ids import TaskId
from app.domain.use_cases.await_result import ResultWaiters
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.resources import event_id, event_json
from app.ports.status_store import StatusStore

Position = tuple[int, int]
"""The attempt and the sequence of the last event a reader has."""

START: Position = (0, 0)

POSITION = r"^([0-9]{1,9})\.([0-9]{1,9})$"
"""How the id of an event looks."""
_OPENING = b"retry: 1000\n\n"
_HEARTBEAT = b": still here\n\n"
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0
"""Seconds between looks: short while there is news, ever longer while there is none."""
_PAUSE_AT_A_GAP = 0.1
"""A gap closes by a trace as well, of which no listener hears."""
_PATIENCE = 2.0
"""Seconds for which events behind a gap are held back."""


def position(text: str) -> Position | None:
    """The position an event id names, or None for what is no event id."""
    match = re.fullmatch(POSITION, text)
    return (int(match[1]), int(match[2])) if match else None


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
            if not _follows(place, self.after) and now - since[place] < self._patience:
                break
            self.after = place
            ready.append(event)
        self._held = {place: seen for place, seen in since.items() if place > self.after}
        return ready


@dataclass(frozen=True, slots=True)
class EventStream:
    """Follows tasks for as many readers as come."""

    store: StatusStore
    waiters: ResultWaiters
    draining: Draining
    heartbeat: float
    patience: float = _PATIENCE

    async def over(self, task_id: TaskId, after: Position) -> bool:
        """Whether nothing will ever come behind this position."""
        return await self._ended(task_id) and not await self.store.events(task_id, after)

    async def follow(self, task_id: TaskId, after: Position) -> AsyncIterator[bytes]:
        """Everything behind a position, as server-sent events, until the task has ended."""
        yield _OPENING
        clock = asyncio.get_running_loop().time
        order = GapFree(after, self.patience)
        pause, spoke = _SHORTEST_PAUSE, clock()
        ended = await self._ended(task_id)
        with self.waiters.listening(task_id) as listener:
            while True:
                known = await self.store.events(task_id, order.after)
                if events := order.ready(known, clock()):
                    yield _written(events)
                    spoke, pause = clock(), _SHORTEST_PAUSE
                if (ended and not order.holding) or self.draining.begun:
                    return
                silent = clock() - spoke >= self.heartbeat
                if silent:
                    yield _HEARTBEAT
                    spoke = clock()
                if silent or _any_terminal(events):
                    ended = await self._ended(task_id)
                if ended and not order.holding:
                    continue  # the views get an ending and its event at once: one more look will do
                longest = _PAUSE_AT_A_GAP if order.holding else _LONGEST_PAUSE
                await self.draining.sleep(min(pause, longest, self.heartbeat), listener.news)
                pause = _SHORTEST_PAUSE if listener.news.is_set() else min(2 * pause, longest)
                listener.news.clear()

    async def _ended(self, task_id: TaskId) -> bool:
        task = await self.store.find(task_id)
        return task is not None and task.state.terminal


def _written(events: Sequence[Event]) -> bytes:
    return "".join(
        f"id: {event_id(each)}\nevent: {each.TYPE}\ndata: {event_json(each)}\n\n" for each in events
    ).encode()


def _place(event: Event) -> Position:
    return event.attempt, event.sequence


def _follows(place: Position, after: Position) -> bool:
    """Whether nothing of the attempt can stand between; an attempt may never have told anything."""
    return place[1] <= (after[1] + 1 if place[0] == after[0] else 1)


def _any_terminal(events: Sequence[Event]) -> bool:
    return any(isinstance(event, TerminalEvent) for event in events)
