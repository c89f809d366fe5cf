"""Answer questions from the views, and wait for an answer that is on its way."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from weakref import WeakValueDictionary

from app.domain.model.errors import UnknownTask
from app.domain.model.ids import TaskId, minted_at
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.task import Task, carried_on
from app.domain.use_cases.await_result import Listener, ResultWaiters
from app.domain.use_cases.shared_look import SharedLook
from app.domain.use_cases.views_lag import ViewsBehind, ViewsLag
from app.ports.clock import Clock
from app.ports.status_store import StatusStore, StoreUnavailable

_FRESH = timedelta(seconds=10)
"""A task minted this recently may not have reached the log yet."""
_PATIENCE = 2.0
_UNDATED_PATIENCE = 0.5
_OWN_WRITE = 0.5
_LOOK_AGAIN = (0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1)
_ANSWERS = 10_000
_ANSWER_BYTES = 32_000_000
"""How many answers are remembered, and what they take together: the older ones go."""
_ENDED = frozenset(state for state in TaskState if state.terminal)
_LOOKS = 100
"""How many tasks that are waited for are looked at in a second."""
_RECHECK = 1.0
"""How often a waiter looks by itself, should the news not reach it. Seconds, as all of these."""


class RecentAnswers:
    """What was answered before the views had it, so that nobody who asks again reads less.

    It is kept as text: as objects a result takes twenty times as much.
    """

    def __init__(self, most: int = _ANSWERS, most_bytes: int = _ANSWER_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._tasks: OrderedDict[TaskId, bytes] = OrderedDict()
        self._bytes = 0

    def __contains__(self, task_id: TaskId) -> bool:
        return task_id in self._tasks

    def add(self, task: Task) -> None:
        text = task.model_dump_json(by_alias=True).encode()
        self._forget(task.id)
        self._tasks[task.id] = text
        self._bytes += len(text)
        while len(self._tasks) > self._most or self._bytes > self._most_bytes:
            self._forget(next(iter(self._tasks)))

    def newest(self, task_id: TaskId, viewed: Task | None) -> Task | None:
        """What the views say, unless more was answered already."""
        text = self._tasks.get(task_id)
        if text is None:
            return viewed
        newest = _newest(Task.model_validate_json(text), viewed)
        if newest is viewed:
            self._forget(task_id)
        return newest

    def _forget(self, task_id: TaskId) -> None:
        self._bytes -= len(self._tasks.pop(task_id, b""))


@dataclass(frozen=True, slots=True)
class ReadStatus:
    store: StatusStore
    waiters: ResultWaiters
    clock: Clock
    lag: ViewsLag
    answers: RecentAnswers = field(default_factory=RecentAnswers)
    _looks: WeakValueDictionary[TaskId, SharedLook[Task | None]] = field(
        default_factory=WeakValueDictionary, init=False
    )

    def accepted(self, task: Task) -> None:
        """Remember a task that was accepted just now: from now on it is not unknown here."""
        if task.state is TaskState.SUBMITTED and not task.attempt and task.id not in self.answers:
            self.answers.add(task.model_copy(update={"reason": Reason.ACCEPTED}))

    def answered(self, task: Task) -> None:
        """Remember this of a task the views have not read of, so that who asks reads no less."""
        if task.id in self.answers:
            self.answers.add(task)

    async def find(self, task_id: TaskId) -> Task:
        """The task; raise `UnknownTask` only where the views have read all that was ever said.

        Where they have not, and do not in a moment, raise `ViewsBehind`.
        """
        return await self._found(task_id, _PATIENCE)

    async def seen_canceling(self, task_id: TaskId) -> None:
        """Return once the views say that it is being canceled, or has ended, or after a moment."""
        with suppress(UnknownTask):
            await self._look(task_id, _not_going_on, _OWN_WRITE)

    async def result(self, task: Task, listener: Listener, seconds: float) -> Task:
        """A task just submitted, as soon as it has ended or asks for input, or after `seconds`.

        A listener that attended to it before it was published hears of it first, unless the log
        was away meanwhile, so the views are looked at as well; one that did not attend, for the
        task is a repeat, leaves it to the views.
        """
        if listener.task_id is None:
            return await self.wait(task.id, seconds, known=task)
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            left = deadline - asyncio.get_running_loop().time()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._until_recheck(task.id))):
                    await listener.settled.wait()
            viewed = None
            if not listener.settled.is_set():
                with suppress(StoreUnavailable):  # then the listener is all there is
                    viewed = await self._viewed(task.id)
            listener.settled.clear()  # it may have asked for input and got on since
            heard = carried_on(task, listener.progress) if listener.progress else task
            if _settled(heard):
                self.answers.add(heard)
                return heard
            newest = _newest(heard, viewed)
            if _settled(newest) or asyncio.get_running_loop().time() >= deadline:
                return newest

    async def wait(self, task_id: TaskId, seconds: float, known: Task | None = None) -> Task:
        """The task as soon as it has ended or asks for input, or as it stands after `seconds`.

        `known` is for a task that was accepted just now: however long the views take to hear of
        it, it is not unknown.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        with self.waiters.listening(task_id) as listener:
            task = await self._first(task_id, seconds, known)
            while not _settled(task):
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                try:
                    async with asyncio.timeout(min(left, self._until_recheck(task_id))):
                        await listener.settled.wait()
                except TimeoutError:
                    task = await self._viewed(task_id) or task
                else:
                    # heard of on the log; the views follow within moments
                    listener.settled.clear()
                    task = await self._seen(task_id, min(left, _PATIENCE)) or task
        return task

    async def _first(self, task_id: TaskId, seconds: float, known: Task | None) -> Task:
        if known is not None:
            return await self._viewed(task_id) or known
        return await self._found(task_id, seconds)

    async def _found(self, task_id: TaskId, patience: float) -> Task:
        if task := await self._viewed(task_id):
            return task
        now = asyncio.get_running_loop().time
        begun, ends, pauses = now(), await self.lag.ends(), iter(_LOOK_AGAIN)
        while True:
            read = await self.lag.have_read(ends)
            if task := await self._viewed(task_id):
                return task
            over = now() - begun >= (min(self._patience(task_id), patience) if read else patience)
            if over and read:
                raise UnknownTask(f"no task {task_id} is known")
            if over:
                raise ViewsBehind(
                    f"the views have not read all of the log yet, so nobody can tell here whether "
                    f"there is a task {task_id}; if it was accepted it is safe: ask again"
                )
            await asyncio.sleep(next(pauses, _LOOK_AGAIN[-1]))

    async def _viewed(self, task_id: TaskId) -> Task | None:
        look = self._looks.get(task_id)
        if look is None:  # it stays as long as somebody waits for it
            look = self._looks[task_id] = SharedLook(partial(self.store.find, task_id))
        return self.answers.newest(task_id, await look())

    def _until_recheck(self, task_id: TaskId) -> float:
        """Seconds until all who wait for a task look again, which they do at one time.

        With very many tasks that are waited for each is looked at less often.
        """
        period = max(_RECHECK, len(self.waiters.listeners) / _LOOKS)
        phase = hash(task_id) % _LOOKS / _LOOKS * period
        return period - (asyncio.get_running_loop().time() - phase) % period

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
            task = await self._viewed(task_id)
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


def _not_going_on(task: Task) -> bool:
    return task.state.terminal or task.reason is Reason.CANCELING


def _newest(told: Task, viewed: Task | None) -> Task:
    """Whichever knows more: an ending, else the later event; the views where both know as much."""
    if viewed is None:
        return told
    if told.state.terminal and _ended_after_all(viewed) >= told.attempt:
        return viewed
    return told if _known(told) > _known(viewed) else viewed


def _ended_after_all(task: Task) -> int:
    """The newest attempt of an open task that has ended: it was opened again, by a redrive."""
    if task.state.terminal:
        return 0
    return max((each.number for each in task.attempts if each.state in _ENDED), default=0)


def _known(task: Task) -> tuple[bool, int, int, bool]:
    # of two endings the one that stands first in the log counts, and the views have that one
    place = (0, 0) if task.state.terminal else (task.attempt, task.sequence)
    return (task.state.terminal, *place, task.input is not None)
