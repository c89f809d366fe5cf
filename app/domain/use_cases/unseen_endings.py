"""Which tasks have ended while the views, which lag behind the log, do not know of it yet."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.domain.model.ids import TaskId
from app.ports.clock import Clock
from app.ports.event_log import Endings, StoredOffsets


@dataclass(slots=True)
class UnseenEndings:
    """Reads what the views lack, once after each change of workers that a task is asked about."""

    views: StoredOffsets
    endings: Endings
    clock: Clock
    _ended: Mapping[TaskId, int] = field(default_factory=dict)
    _as_of: datetime | None = None
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def attempt_of(self, task_id: TaskId, until: datetime) -> int:
        """The last attempt that ended this task, of those told `until` then; 0 for none.

        Those that the views have need not be among them: look there afterwards.
        """
        async with self._one_at_a_time:
            if self._as_of is None or self._as_of < until:
                now = self.clock.now()
                self._ended = await self.endings.behind(await self.views.offsets())
                self._as_of = now
            return self._ended.get(task_id, 0)
