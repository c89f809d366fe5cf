"""Wake whoever waits for a task or follows it, the moment its worker reports."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.model.events import TaskInputRequired, TerminalEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import ResultTail

_Listeners = defaultdict[TaskId, set[asyncio.Event]]


class ResultWaiters:
    """Listens to the results once for a whole process and wakes the waiters of each task."""

    def __init__(self, tail: ResultTail) -> None:
        self._tail = tail
        self._waiting: _Listeners = defaultdict(set)
        self._following: _Listeners = defaultdict(set)

    async def run(self) -> None:
        """Listen until cancelled."""
        async for event in self._tail.results(self._awaited):
            _wake(self._following, event.task_id)
            if isinstance(event, TerminalEvent | TaskInputRequired):
                _wake(self._waiting, event.task_id)

    def _awaited(self, task_id: TaskId) -> bool:
        return task_id in self._waiting or task_id in self._following

    @contextmanager
    def expecting(self, task_id: TaskId) -> Iterator[asyncio.Event]:
        """An event that is set when the task ends or asks for input while the context is open."""
        with _listening(self._waiting, task_id) as news:
            yield news

    @contextmanager
    def following(self, task_id: TaskId) -> Iterator[asyncio.Event]:
        """An event that is set at every result of the task while the context is open."""
        with _listening(self._following, task_id) as news:
            yield news


def _wake(listeners: _Listeners, task_id: TaskId) -> None:
    for listener in listeners.get(task_id, ()):
        listener.set()


@contextmanager
def _listening(listeners: _Listeners, task_id: TaskId) -> Iterator[asyncio.Event]:
    listener = asyncio.Event()
    listeners[task_id].add(listener)
    try:
        yield listener
    finally:
        listeners[task_id].discard(listener)
        if not listeners[task_id]:
            del listeners[task_id]
