"""The views in one process, for tests and for a run without a database."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from app.adapters.memory.letter_store import MemoryLetterStore
from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import Event
from app.domain.model.ids import TaskId
from app.domain.model.paging import cursor_at, place_of, read_cursor
from app.domain.model.progress import Progress
from app.domain.model.task import Task, describe, redriven, summary
from app.ports.event_log import Offsets, Shard
from app.ports.status_store import (
    CommandPlace,
    OffsetsMoved,
    Page,
    Past,
    StatusStore,
    TaskFilter,
    Unfinished,
    ViewStore,
    ViewUpdate,
    past_of,
    portion,
    unfinished_of,
)

_EventKey = tuple[int, int, str]
"""Attempt, sequence and type: of two with the same, the first in the log is kept."""


class MemoryStatusStore(StatusStore, ViewStore):
    """Both sides of the views: what is saved is seen at once by who asks."""

    def __init__(self) -> None:
        self._commands: dict[TaskId, SubmitTask] = {}
        self._progress: dict[TaskId, Progress] = {}
        self._cancels: dict[TaskId, CancelTask] = {}
        self._events: defaultdict[TaskId, dict[_EventKey, Event]] = defaultdict(dict)
        self._offsets: dict[Shard, int] = {}
        self._places: dict[TaskId, CommandPlace] = {}
        self.letters = MemoryLetterStore()
        """The dead letters among the views."""

    async def find(self, task_id: TaskId) -> Task | None:
        if task_id not in self._commands and task_id not in self._progress:
            return None
        return self._described(task_id)

    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        return {each: past_of(self._progress[each]) for each in task_ids if each in self._progress}

    async def unfinished(self, shard: Shard, below: int, behind: int = -1) -> Sequence[Unfinished]:
        places = sorted(
            (place.offset, task_id)
            for task_id, place in self._places.items()
            if (place.topic, place.partition) == shard and behind < place.offset < below
        )
        return [
            unfinished_of(
                self._commands[task_id],
                self._progress.get(task_id),
                self._cancels.get(task_id),
                offset,
            )
            for offset, task_id in places
            if not self._described(task_id).state.terminal
        ]

    async def command(self, task_id: TaskId) -> SubmitTask | None:
        return self._commands.get(task_id)

    async def list(self, wanted: TaskFilter, limit: int, cursor: str | None) -> Page:
        behind = read_cursor(cursor) if cursor is not None else None
        known = map(self._described, self._commands.keys() | self._progress.keys())
        found = [task for task in known if _fits(task, wanted)]
        found.sort(key=place_of, reverse=True)
        if behind is not None:
            found = [task for task in found if place_of(task) < behind]
        items = [summary(task) for task in found[:limit]]
        more = len(found) > limit
        return Page(items, cursor_at(place_of(items[-1])) if more else None)

    async def events(self, task_id: TaskId, after: tuple[int, int] = (0, 0)) -> Sequence[Event]:
        told = self._events.get(task_id, {})
        return portion(
            (key[:2], len(told[key].model_dump_json()), told[key])
            for key in sorted(told)
            if key[:2] > after
        )

    async def ping(self) -> None:
        """Memory always answers."""

    async def offsets(self) -> Offsets:
        return dict(self._offsets)

    async def progress(self, task_ids: Iterable[TaskId]) -> dict[TaskId, Progress]:
        return {key: self._progress[key] for key in task_ids if key in self._progress}

    async def save(self, update: ViewUpdate) -> None:
        for shard in update.before.keys() | update.after.keys():
            expected, actual = update.before.get(shard, 0), self._offsets.get(shard, 0)
            if expected != actual:
                where = f"{shard.topic}/{shard.partition}"
                raise OffsetsMoved(f"{where} is folded up to {actual}, not {expected}")
        self._offsets.update(update.after)
        for command in update.commands:
            self._commands.setdefault(command.id, command)
        self._progress.update(update.progress)
        for task_id, place in update.places.items():
            self._places[task_id] = max(place, self._places.get(task_id, place))
        for cancel in update.cancels:
            known = self._cancels.get(cancel.task_id)
            if known is None or known.at <= cancel.at:
                self._cancels[cancel.task_id] = cancel
        for event in update.events:
            key = (event.attempt, event.sequence, event.TYPE)
            self._events[event.task_id].setdefault(key, event)
        for lying in update.letters:
            self.letters.add(lying)
        for settlement in update.settlements:
            self.letters.settle(settlement)

    async def begin_anew(self) -> Sequence[SubmitTask | CancelTask]:
        self._offsets.clear()
        self._places.clear()
        for task_id in self._commands.keys() | self._progress.keys():
            if not self._described(task_id).state.terminal:
                self._begin_anew(task_id)
        waiting = {
            key: redriven(each, self._progress[key]) if key in self._progress else each
            for key, each in self._commands.items()
            if not self._described(key).state.terminal
        }
        there = waiting.keys() | self._progress.keys()
        self._cancels = {key: each for key, each in self._cancels.items() if key in there}
        cancels = (each for key, each in self._cancels.items() if key in waiting)
        return [
            *sorted(cancels, key=lambda cancel: (cancel.at, cancel.task_id)),
            *sorted(waiting.values(), key=lambda command: (command.submitted_at, command.id)),
        ]

    def _begin_anew(self, task_id: TaskId) -> None:
        """Forget what was told of it, but for what had ended before it was redriven."""
        told, events = self._progress.pop(task_id, None), self._events.pop(task_id, {})
        past = told.at_redrive() if told and task_id in self._commands else None
        if past is not None:
            self._progress[task_id] = past
            kept = {key: each for key, each in events.items() if key[0] <= past.reopened}
            self._events[task_id] = kept

    async def clear(self) -> None:
        for kept in (self._commands, self._progress, self._cancels, self._events, self._offsets):
            kept.clear()
        self._places.clear()
        self.letters.clear()

    def _described(self, task_id: TaskId) -> Task:
        return describe(
            self._commands.get(task_id), self._progress.get(task_id), self._cancels.get(task_id)
        )


def _fits(task: Task, wanted: TaskFilter) -> bool:
    return (
        (not wanted.states or task.state in wanted.states)
        and wanted.agent in (None, task.agent)
        and wanted.context_id in (None, task.context_id)
        and wanted.labels.items() <= task.labels.items()
        and (wanted.above is None or place_of(task).created_at > wanted.above)
        and (wanted.below is None or place_of(task).created_at < wanted.below)
    )
