"""The fleet in one process: heartbeats in a list."""

import asyncio
from collections.abc import AsyncIterator

from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.ids import WorkerId
from app.ports.fleet import FleetFeed, Gone, Heard, Heartbeats


class MemoryFleet(Heartbeats, FleetFeed):
    """Keeps the last word of each worker for whoever comes later, as a compacted topic does."""

    def __init__(self) -> None:
        self._last: dict[WorkerId, WorkerHeartbeat] = {}
        self._listeners: set[asyncio.Queue[WorkerHeartbeat | Gone]] = set()

    async def send(self, heartbeat: WorkerHeartbeat) -> None:
        self._last.pop(heartbeat.worker_id, None)
        self._last[heartbeat.worker_id] = heartbeat
        self._tell(heartbeat)

    async def withdraw(self, worker_id: WorkerId) -> None:
        self._last.pop(worker_id, None)
        self._tell(Gone(worker_id))

    async def heard(self) -> AsyncIterator[Heard]:
        words: asyncio.Queue[WorkerHeartbeat | Gone] = asyncio.Queue()
        self._listeners.add(words)
        try:
            for heartbeat in list(self._last.values()):
                yield Heard(heartbeat, live=False)
            while True:
                yield Heard(await words.get(), live=True)
        finally:
            self._listeners.discard(words)

    def _tell(self, word: WorkerHeartbeat | Gone) -> None:
        for words in self._listeners:
            words.put_nowait(word)
