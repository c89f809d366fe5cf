"""The views, for a process that must be back at work in a moment.

What speaks SQL takes as long to load as Kafka takes to let a worker join: both are done at once.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from app.domain.model.ids import TaskId
from app.domain.model.task import Task
from app.entrypoints.settings import Settings
from app.ports.event_log import Offsets, Shard
from app.ports.status_store import Past, PastTasks, Unfinished

if TYPE_CHECKING:
    from app.entrypoints.bootstrap.stores import Store


@dataclass(frozen=True, slots=True)
class LateViews(PastTasks):
    """Answers as soon as the views are open; who asks before waits for that."""

    _opening: "asyncio.Task[Store]"

    async def find(self, task_id: TaskId) -> Task | None:
        return await (await self._opened()).find(task_id)

    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        return await (await self._opened()).past(task_ids)

    async def unfinished(self, shard: Shard, below: int, behind: int = -1) -> Sequence[Unfinished]:
        return await (await self._opened()).unfinished(shard, below, behind)

    async def offsets(self) -> Offsets:
        return await (await self._opened()).offsets()

    async def _opened(self) -> "Store":
        return await asyncio.shield(self._opening)  # the one who asks may be canceled meanwhile


@asynccontextmanager
async def open_late(settings: Settings) -> AsyncIterator[PastTasks]:
    """Open the views beside what else begins, and close them at the end.

    Where they cannot be opened the body is cancelled, and what `open_store` raised is raised.
    """
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.TaskGroup() as group:
                yield LateViews(group.create_task(_open(settings, stack)))
        except BaseExceptionGroup as raised:
            raise raised.exceptions[0] from None


async def _open(settings: Settings, stack: AsyncExitStack) -> "Store":
    stores = await asyncio.to_thread(import_module, "app.entrypoints.bootstrap.stores")
    store: Store = await stack.enter_async_context(stores.open_store(settings))
    return store
