"""Fold what the log tells into the views."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass

from app.domain.model.commands import SubmitTask
from app.domain.model.events import Event, ResultEvent
from app.domain.model.ids import TaskId
from app.domain.model.task import Progress, fold
from app.ports.event_log import Batch, EventFeed
from app.ports.status_store import OffsetsMoved, StoreUnavailable, ViewStore, ViewUpdate

_PATIENCE = 60.0
"""Seconds for which the views may be away: long enough for a database to fail over."""


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    feed: EventFeed
    views: ViewStore

    async def run(self) -> None:
        """Project until cancelled. The offsets move with the views, so nothing is counted twice.

        Raises `StoreUnavailable` when the views stay away.
        """
        async for batch in self.feed.batches(self.views):
            try:
                await self._store(batch)
            except OffsetsMoved:
                await self.feed.rewind()

    async def _store(self, batch: Batch) -> None:
        """Store it; a store that is away is asked again, which stores nothing twice."""
        give_up = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            try:
                return await self.views.save(await self._fold(batch))
            except StoreUnavailable as error:
                if asyncio.get_running_loop().time() + error.retry_after > give_up:
                    raise
                await asyncio.sleep(error.retry_after)

    async def _fold(self, batch: Batch) -> ViewUpdate:
        commands: dict[TaskId, SubmitTask] = {}
        events: list[Event] = []
        results: defaultdict[TaskId, list[tuple[ResultEvent, int]]] = defaultdict(list)
        for record in batch.records:
            message = record.message
            if isinstance(message, SubmitTask):
                commands.setdefault(message.id, message)
            elif isinstance(message, Event):
                events.append(message)
                if isinstance(message, ResultEvent):
                    results[message.task_id].append((message, record.offset))
        stored = await self.views.progress(results)
        return ViewUpdate(
            commands=list(commands.values()),
            progress={
                task_id: _fold_all(stored.get(task_id), news) for task_id, news in results.items()
            },
            events=events,
            before=batch.before,
            after=batch.after,
        )


def _fold_all(progress: Progress | None, news: list[tuple[ResultEvent, int]]) -> Progress:
    for event, offset in news:
        progress = fold(progress, event, offset)
    if progress is None:
        raise ValueError("no events to fold")
    return progress
