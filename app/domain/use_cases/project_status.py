"""Fold what the log tells into the views."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.dead_letters import DeadLetter
from app.domain.model.events import Event, ResultEvent
from app.domain.model.ids import TaskId
from app.domain.model.letters import Settlement
from app.domain.model.progress import Progress, fold
from app.ports.event_log import Batch, EventFeed, Offsets, StoredOffsets
from app.ports.status_store import (
    CommandPlace,
    Lying,
    OffsetsMoved,
    StoreUnavailable,
    ViewStore,
    ViewUpdate,
)

Answer = TypeVar("Answer")

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
        batches = self.feed.batches(PatientOffsets(self.views))
        async with aclosing(batches):  # type: ignore[type-var]  # so that it ends before the store
            async for batch in batches:
                try:
                    await _patiently(partial(self._store, batch))
                except OffsetsMoved:
                    await self.feed.rewind()

    async def _store(self, batch: Batch) -> None:
        await self.views.save(await self._fold(batch))

    async def _fold(self, batch: Batch) -> ViewUpdate:
        commands: dict[TaskId, SubmitTask] = {}
        places: dict[TaskId, CommandPlace] = {}
        cancels: list[CancelTask] = []
        letters: list[Lying] = []
        settlements: list[Settlement] = []
        events: list[Event] = []
        results: defaultdict[TaskId, list[tuple[ResultEvent, int]]] = defaultdict(list)
        for record in batch.records:
            message = record.message
            if isinstance(message, SubmitTask):
                commands.setdefault(message.id, message)
                place = CommandPlace(record.written_at, *record.shard, record.offset)
                places[message.id] = max(place, places.get(message.id, place))
            elif isinstance(message, Event):
                events.append(message)
                if isinstance(message, ResultEvent):
                    results[message.task_id].append((message, record.offset))
            elif isinstance(message, CancelTask):
                cancels.append(message)
            elif isinstance(message, DeadLetter):
                letters.append(Lying(message, record.shard.partition, record.offset))
            elif isinstance(message, Settlement):
                settlements.append(message)
        stored = await self.views.progress(results)
        return ViewUpdate(
            commands=list(commands.values()),
            progress={
                task_id: _fold_all(stored.get(task_id), news) for task_id, news in results.items()
            },
            events=events,
            before=batch.before,
            after=batch.after,
            cancels=cancels,
            letters=letters,
            places=places,
            settlements=settlements,
        )


@dataclass(frozen=True, slots=True)
class PatientOffsets(StoredOffsets):
    """Stored offsets that are waited for while the store is away, as saving waits for it."""

    stored: StoredOffsets

    async def offsets(self) -> Offsets:
        return await _patiently(self.stored.offsets)


async def _patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask a store that is away again; what it stored without an answer it stores only once."""
    give_up = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        try:
            return await ask()
        except StoreUnavailable as error:
            if asyncio.get_running_loop().time() + error.retry_after > give_up:
                raise
            await asyncio.sleep(error.retry_after)


def _fold_all(progress: Progress | None, news: list[tuple[ResultEvent, int]]) -> Progress:
    for event, offset in news:
        progress = fold(progress, event, offset)
    if progress is None:
        raise ValueError("no events to fold")
    return progress
