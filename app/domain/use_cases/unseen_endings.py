"""Which tasks have ended while the views, which lag behind the log, do not know of it yet."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from app.domain.model.ids import TaskId
from app.ports.clock import Clock
from app.ports.event_log import Endings, Offsets, Shard, StoredOffsets


@dataclass(slots=True)
class UnseenEndings:
    """Reads on from where the views are, or from where it was; many that ask share one reading."""

    views: StoredOffsets
    endings: Endings
    clock: Clock
    _attempts: dict[TaskId, int] = field(default_factory=dict)
    _read: dict[Shard, int] = field(default_factory=dict)
    _as_of: datetime | None = None
    _reading: "asyncio.Task[None] | None" = None

    async def attempt_of(self, task_id: TaskId, until: datetime) -> int:
        """The last attempt that ended this task, of those told `until` then; 0 for none.

        Those that the views have need not be among them: look there afterwards. Raises
        `LogUnavailable`, and what the views raise.
        """
        while self._as_of is None or self._as_of < until:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read_on())
                self._reading.add_done_callback(_noted)
            await asyncio.shield(self._reading)  # the others go on waiting for it
        return self._attempts.get(task_id, 0)

    async def _read_on(self) -> None:
        now = self.clock.now()
        stored = await self.views.offsets()
        if all(stored.get(shard, 0) >= end for shard, end in self._read.items()):
            self._attempts, self._read = {}, {}  # the views have it all
        ended = await self.endings.behind(_further(stored, self._read))
        for task_id, attempt in ended.attempts.items():
            self._attempts[task_id] = max(attempt, self._attempts.get(task_id, 0))
        self._read = _further(self._read, ended.read)
        self._as_of = now


def _noted(reading: "asyncio.Task[None]") -> None:
    """Its error is for those who wait for it, if anybody still does."""
    if not reading.cancelled():
        reading.exception()


def _further(one: Offsets, other: Offsets) -> dict[Shard, int]:
    return {shard: max(one.get(shard, 0), other.get(shard, 0)) for shard in {*one, *other}}
