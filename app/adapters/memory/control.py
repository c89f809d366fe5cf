"""The control topic of the log in memory."""

import asyncio
from collections.abc import Callable

from app.adapters.memory.event_log import MemoryEventLog
from app.domain.model.commands import CancelTask
from app.ports.control import Control
from app.ports.event_log import Recorded, Shard


class MemoryControl(Control):
    def __init__(self, log: MemoryEventLog) -> None:
        self._log = log
        self._position: dict[Shard, int] = {}
        self._caught_up = asyncio.Event()

    async def listen(self, hear: Callable[[CancelTask], None]) -> None:
        while True:
            for record in self._next():
                if isinstance(record.message, CancelTask):
                    hear(record.message)
            self._caught_up.set()
            await self._log.until(lambda: self._position != self._ends())

    async def caught_up(self) -> None:
        await self._caught_up.wait()

    def _next(self) -> list[Recorded]:
        records: list[Recorded] = []
        for shard, end in self._ends().items():
            records += self._log.records(shard, self._position.get(shard, 0))
            self._position[shard] = end
        return records

    def _ends(self) -> dict[Shard, int]:
        return self._log.ends(self._log.control_topic)
