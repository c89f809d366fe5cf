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


def position(text: str) -> Position | None:
    """The position an event id names, or None for what is no event id."""
    match = re.fullmatch(POSITION, text)
    return (int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class EventStream:
    """Follows tasks for as many readers as come."""

    store: StatusStore
    waiters: ResultWaiters
    draining: Draining
    heartbeat: float

    async def over(self, task_id: TaskId, after: Position) -> bool:
        """Whether nothing will ever come behind this position."""
        return await self._ended(task_id) and not await self.store.events(task_id, after)

    async def follow(self, task_id: TaskId, after: Position) -> AsyncIterator[bytes]:
        """Everything behind a position, as server-sent events, until the task has ended."""
        yield _OPENING
        clock = asyncio.get_running_loop().time
        pause, spoke = _SHORTEST_PAUSE, clock()
        ended = await self._ended(task_id)
        with self.waiters.listening(task_id) as listener:
            while True:
                if events := await self.store.events(task_id, after):
                    yield _written(events)
                    after, spoke, pause = _last(events), clock(), _SHORTEST_PAUSE
                if ended or self.draining.begun:
                    return
                silent = clock() - spoke >= self.heartbeat
                if silent:
                    yield _HEARTBEAT
                    spoke = clock()
                if silent or _any_terminal(events):
                    ended = await self._ended(task_id)
                if ended:  # the views get an ending and its event at once: one more look is enough
                    continue
                await self.draining.sleep(min(pause, self.heartbeat), listener.news)
                pause = (
                    _SHORTEST_PAUSE if listener.news.is_set() else min(2 * pause, _LONGEST_PAUSE)
                )
                listener.news.clear()

    async def _ended(self, task_id: TaskId) -> bool:
        task = await self.store.find(task_id)
        return task is not None and task.state.terminal


def _written(events: Sequence[Event]) -> bytes:
    return "".join(
        f"id: {event_id(each)}\nevent: {each.TYPE}\ndata: {event_json(each)}\n\n" for each in events
    ).encode()


def _last(events: Sequence[Event]) -> Position:
    return events[-1].attempt, events[-1].sequence


def _any_terminal(events: Sequence[Event]) -> bool:
    return any(isinstance(event, TerminalEvent) for event in events)
