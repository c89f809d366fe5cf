"""Wake whoever waits for a task, the moment its worker reports."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.model.events import TaskInputRequired, TerminalEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import ResultTail


class ResultWaiters:
    """Listens to the results once for a whole process and wakes the waiters of each task."""

    def __init__(self, tail: ResultTail) -> None:
        self._tail = tail
        self._waiting: defaultdict[TaskId, set[asyncio.Event]] = defaultdict(set)

    async def run(self) -> None:
        """Listen until cancelled."""
        async for event in self._tail.results():
            if isinstance(event, TerminalEvent | TaskInputRequired):
                for waiter in self._waiting.get(event.task_id, ()):
                    waiter.set()

    @contextmanager
    def expecting(self, task_id: TaskId) -> Iterator[asyncio.Event]:
        """An event that is set when the task ends or asks for input while the context is open."""
        waiter = asyncio.Event()
        self._waiting[task_id].add(waiter)
        try:
            yield waiter
        finally:
            self._waiting[task_id].discard(waiter)
            if not self._waiting[task_id]:
                del self._waiting[task_id]
