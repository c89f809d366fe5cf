"""Wake whoever waits for a task or follows it, the moment its worker reports."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.model.events import ResultEvent, TaskInputRequired, TerminalEvent
from app.domain.model.ids import TaskId
from app.domain.model.progress import Progress, fold
from app.ports.event_log import ResultTail


class Listener:
    """Hears of one task from the moment it attends to it."""

    def __init__(self, waiters: "ResultWaiters") -> None:
        self._waiters = waiters
        self._heard = 0
        self.task_id: TaskId | None = None
        self.progress: Progress | None = None
        """What the events heard so far amount to."""
        self.news = asyncio.Event()
        """Set at every result of the task."""
        self.settled = asyncio.Event()
        """Set when the task ends or asks for input."""

    def attend(self, task_id: TaskId) -> None:
        """Hear of this task from now on."""
        self.task_id = task_id
        self._waiters.listeners[task_id].add(self)

    def hear(self, event: ResultEvent) -> None:
        self.progress = fold(self.progress, event, self._heard)
        self._heard += 1
        self.news.set()
        if isinstance(event, TerminalEvent | TaskInputRequired):
            self.settled.set()


class ResultWaiters:
    """Listens to the results once for a whole process and wakes the listeners of each task."""

    def __init__(self, tail: ResultTail) -> None:
        self._tail = tail
        self.listeners: defaultdict[TaskId, set[Listener]] = defaultdict(set)

    async def run(self) -> None:
        """Listen until cancelled."""
        async for event in self._tail.results(self.listeners.__contains__):
            for listener in self.listeners.get(event.task_id, ()):
                listener.hear(event)

    @contextmanager
    def listening(self, task_id: TaskId | None = None) -> Iterator[Listener]:
        """A listener for as long as the context is open, attending to a task now or later."""
        listener = Listener(self)
        if task_id is not None:
            listener.attend(task_id)
        try:
            yield listener
        finally:
            if listener.task_id is not None:
                others = self.listeners[listener.task_id]
                others.discard(listener)
                if not others:
                    del self.listeners[listener.task_id]
