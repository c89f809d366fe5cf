"""End the tasks whose message was deleted before any worker had read it, or had finished with it.

A topic deletes what it has kept for long enough, read or not. The views know where the message of
each open task stands, and a worker knows where those partitions begin now that are its own, and
what of them it has in hand: an open task whose message stands below that, and is in nobody's hand,
will never run.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta

from app.domain.model.errors import Unavailable
from app.domain.model.events import TaskCanceled, TaskError, TaskFailed
from app.domain.model.ids import TaskId
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.task import Task
from app.domain.use_cases.cancellations import Cancellations
from app.domain.use_cases.presence import Presence
from app.ports.clock import Clock
from app.ports.event_log import Endings, EventLog, Offsets, Shard
from app.ports.status_store import PastTasks, Unfinished
from app.ports.task_queue import Deleted, Retained

_EVERY = 30.0
_TO_BE_SURE = 5.0
"""Seconds between the look that suspects a task and the one that ends it, and before the first."""
_TO_RELEASE = timedelta(minutes=10)
"""For which the delays may still hold what was to wait, when its time has come."""
_MESSAGE = "its topic deleted its message before a worker was done with it"
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class EndLostTasks:
    queue: Retained
    views: PastTasks
    endings: Endings
    log: EventLog
    presence: Presence
    cancellations: Cancellations
    clock: Clock
    _looked_at: dict[Shard, Deleted] = field(default_factory=dict)
    _suspected: Collection[TaskId] = ()
    _as_of: Offsets = field(default_factory=dict)
    """How far the results went when those were found."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(_TO_BE_SURE)
            try:
                while not await self.look():  # noqa: ASYNC110  # others read on meanwhile
                    await asyncio.sleep(_TO_BE_SURE)
            except Unavailable as away:
                _log.info("whether messages were deleted unread cannot be told now: %s", away)
            except Exception:  # noqa: BLE001  # the worker goes on
                _log.exception("looking for messages that were deleted unread failed")
            await asyncio.sleep(_EVERY)

    async def look(self) -> bool:
        """End those that the last look suspected and this one does too; True: none are left.

        Two looks, because the views may lag behind: a task is not ended before they have all that
        was told when it was first suspected.
        """
        parts = {Shard(each.topic, each.partition): each for each in await self.queue.deleted()}
        found: dict[TaskId, Unfinished] = {}
        without_any: dict[Shard, Deleted] = {}
        for shard, part in parts.items():
            known = self._looked_at.get(shard)
            if known and (known.below, known.since) == (part.below, part.since):
                without_any[shard] = part
                continue
            open_ones = await self._unfinished(shard, part.below)
            if not open_ones:
                without_any[shard] = part
            found |= {each.task.id: each for each in open_ones if self._is_lost(each, part)}
        if not found:
            # what is in somebody's hands, or still waits, is looked at again: its worker may die
            self._looked_at, self._suspected = without_any, ()
            return True
        stored = await self.views.offsets()
        ended = await self.endings.behind(stored)
        if not self._suspected:
            self._as_of, self._suspected = ended.read, list(found)
        elif all(stored.get(shard, 0) >= end for shard, end in self._as_of.items()):
            certain = [found[each] for each in self._suspected if each in found]
            for each in certain:
                if each.task.id not in ended.attempts:
                    await self._end(each.task)
            self._as_of, self._suspected = ended.read, list(found)
        else:  # others that are found now have not been suspected for long enough
            self._suspected = [each for each in self._suspected if each in found]
        return False

    async def _unfinished(self, shard: Shard, below: int) -> list[Unfinished]:
        """All open tasks whose message stood there, page after page."""
        found: list[Unfinished] = []
        while page := await self.views.unfinished(
            shard, below, behind=found[-1].offset if found else -1
        ):
            found += page
        return found

    def _is_lost(self, found: Unfinished, part: Deleted) -> bool:
        task, presence = found.task, self.presence
        if found.offset in part.in_hand or any(h.command.id == task.id for h in presence.hands):
            return False
        if presence.fleet.holder(task.id, presence.profile.worker_id) is not None:
            return False
        if found.waits_until is None:
            return True
        since = max(found.waits_until, part.since or found.waits_until)
        return self.clock.now() - since > _TO_RELEASE

    async def _end(self, task: Task) -> None:
        runs = task.state is not TaskState.SUBMITTED
        told = {
            "task_id": task.id,
            "agent": task.agent,
            "attempt": task.attempt if runs else task.attempt + 1,
            "sequence": task.sequence + 1 if runs else 1,
            "at": self.clock.now(),
            "worker_id": self.presence.profile.worker_id,
        }
        _log.warning("task %s is lost: %s", task.id, _MESSAGE)
        if asked := self.cancellations.asked(task.id):
            await self.log.publish(TaskCanceled(message=asked.reason, **told))
            return
        error = TaskError(code=Reason.LOST_BY_RETENTION, message=_MESSAGE, retryable=True)
        await self.log.publish(TaskFailed(error=error, reason=Reason.LOST_BY_RETENTION, **told))
