"""Answer questions from the views, and wait for an answer that is on its way."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from app.domain.model.errors import UnknownTask
from app.domain.model.ids import TaskId, minted_at
from app.domain.model.lifecycle import TaskState
from app.domain.model.task import Task
from app.domain.use_cases.await_result import ResultWaiters
from app.ports.clock import Clock
from app.ports.status_store import StatusStore

_FRESH = timedelta(seconds=10)
"""A task minted this recently may not have reached the views yet."""
_PATIENCE = 2.0
_UNDATED_PATIENCE = 0.5
_LOOK_AGAIN = (0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1)
_RECHECK = 1.0
"""How often a waiter looks by itself, should the news not reach it. Seconds, as all of these."""


@dataclass(frozen=True, slots=True)
class ReadStatus:
    store: StatusStore
    waiters: ResultWaiters
    clock: Clock

    async def find(self, task_id: TaskId) -> Task:
        """The task; raise `UnknownTask`, for a fresh id only after giving the views a moment."""
        return await self._look(task_id, lambda _: True, self._patience(task_id))

    async def wait(self, task_id: TaskId, seconds: float, known: Task | None = None) -> Task:
        """The task as soon as it has ended or asks for input, or as it stands after `seconds`.

        `known` is for a task that was accepted just now: however long the views take to hear of
        it, it is not unknown.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        with self.waiters.expecting(task_id) as news:
            task = await self._first(task_id, seconds, known)
            while not _settled(task):
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                try:
                    async with asyncio.timeout(min(left, _RECHECK)):
                        await news.wait()
                except TimeoutError:
                    task = await self.store.find(task_id) or task
                else:
                    # heard of on the log; the views follow within moments
                    news.clear()
                    task = await self._seen(task_id, min(left, _PATIENCE)) or task
        return task

    async def _first(self, task_id: TaskId, seconds: float, known: Task | None) -> Task:
        if known is not None:
            return await self.store.find(task_id) or known
        patience = min(self._patience(task_id), seconds)
        return await self._look(task_id, lambda _: True, patience)

    async def _seen(self, task_id: TaskId, patience: float) -> Task | None:
        with suppress(UnknownTask):
            return await self._look(task_id, _settled, patience)
        return None

    def _patience(self, task_id: TaskId) -> float:
        minted = minted_at(task_id)
        if minted is None:  # derived from a key, or chosen by its asker: it may be fresh as well
            return _UNDATED_PATIENCE
        return _PATIENCE if abs(self.clock.now() - minted) < _FRESH else 0

    async def _look(self, task_id: TaskId, enough: Callable[[Task], bool], patience: float) -> Task:
        give_up = asyncio.get_running_loop().time() + patience
        pauses = iter(_LOOK_AGAIN)
        while True:
            task = await self.store.find(task_id)
            if task and enough(task):
                return task
            if asyncio.get_running_loop().time() >= give_up:
                break
            await asyncio.sleep(next(pauses, _LOOK_AGAIN[-1]))
        if task is None:
            raise UnknownTask(f"no task {task_id} is known")
        return task


def _settled(task: Task) -> bool:
    return task.state.terminal or task.state is TaskState.INPUT_REQUIRED
