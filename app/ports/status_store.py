"""The read model: the views people ask, and how they are kept."""

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.dead_letters import DeadLetter
from app.domain.model.errors import Conflict, Unavailable
from app.domain.model.events import Event
from app.domain.model.ids import AgentName, ContextId, TaskId
from app.domain.model.letters import Settlement
from app.domain.model.lifecycle import TaskState
from app.domain.model.paging import milliseconds
from app.domain.model.progress import Progress, next_run_at
from app.domain.model.task import Task, TaskSummary, describe
from app.ports.event_log import Offsets, Shard, StoredOffsets

_ALMOST_A_MILLISECOND = timedelta(microseconds=999)


class StoreUnavailable(Unavailable):
    """The views cannot be read or written now."""

    code = "store-unavailable"


class OffsetsMoved(Conflict):
    """Another writer has folded these messages already; nothing of the update was stored."""

    code = "offsets-moved"


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; an empty filter lists all."""

    states: Collection[TaskState] = ()
    """Any of these; empty for every state."""
    agent: AgentName | None = None
    context_id: ContextId | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def above(self) -> int | None:
        """The milliseconds since 1970 that a task's creation must be above."""
        return None if self.created_after is None else milliseconds(self.created_after)

    @property
    def below(self) -> int | None:
        """The milliseconds since 1970 that a task's creation must be below."""
        if self.created_before is None:
            return None
        return milliseconds(self.created_before + _ALMOST_A_MILLISECOND)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of tasks, newest first, and the cursor of the next (None on the last)."""

    items: Sequence[TaskSummary]
    next_cursor: str | None


_AT_ONCE, _BYTES_AT_ONCE = 1_000, 64_000
"""Events and bytes of a portion. An event that is larger comes all the same."""

Row = TypeVar("Row")


def portion(rows: Iterable[tuple[tuple[int, int], int, Row]]) -> list[Row]:
    """The first of rows that come with their place and size; what shares a place is not parted.

    No more rows are taken than are returned, but for one.
    """
    taken: list[Row] = []
    size, last = 0, (0, 0)
    for place, bytes_of_it, row in rows:
        if (len(taken) >= _AT_ONCE or size >= _BYTES_AT_ONCE) and place != last:
            break
        taken.append(row)
        size, last = size + bytes_of_it, place
    return taken


class Past(NamedTuple):
    """The runs of a task, as far as the views know."""

    attempt: int
    """The newest."""
    ended: int
    """The last that ended the task, be it redriven since or not; 0 where none did."""


class CommandPlace(NamedTuple):
    """Where a message of a task stands; of several the latest counts, which is the greatest."""

    written_at: int
    """The record's time, in milliseconds."""
    topic: str
    partition: int
    offset: int


class Unfinished(NamedTuple):
    """A task that has not ended."""

    task: Task
    offset: int
    """Where its latest message stands in the part that was asked about."""
    waits_until: datetime | None
    """The time its first or next run is to wait for, where it is."""


def unfinished_of(
    command: SubmitTask, progress: Progress | None, cancel: CancelTask | None, offset: int
) -> Unfinished:
    waits_until = next_run_at(progress) if progress else command.not_before
    return Unfinished(describe(command, progress, cancel), offset, waits_until)


def past_of(progress: Progress) -> Past:
    ended = (number for number, each in progress.attempts.items() if each.ending)
    return Past(max(progress.attempts), max(ended, default=0))


class TaskFinder(Protocol):
    """Looks a task up."""

    @abstractmethod
    async def find(self, task_id: TaskId) -> Task | None:
        """The task, or None where nothing has been heard of it."""

    @abstractmethod
    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        """What has been run of these tasks; none of those no run of which has been heard of."""

    @abstractmethod
    async def unfinished(self, shard: Shard, below: int, behind: int = -1) -> Sequence[Unfinished]:
        """Open tasks whose latest message stands in this shard below an offset, lowest first.

        Of many it is a page; the next one is of those `behind` the last offset of this one.
        """


class PastTasks(TaskFinder, StoredOffsets, Protocol):
    """What a worker asks of the views: a task, and how much of the log they are made from."""


class StatusStore(TaskFinder, StoredOffsets, Protocol):
    """Answers questions about tasks, and says how much of the log its answers are made from."""

    @abstractmethod
    async def command(self, task_id: TaskId) -> SubmitTask | None:
        """What the task was first asked for, or None where that has not been heard of."""

    @abstractmethod
    async def list(self, wanted: TaskFilter, limit: int, cursor: str | None) -> Page:
        """A page of tasks, newest first by creation; raise `InvalidInput` for a broken cursor.

        However large the tasks are, no more than one of them is in memory at a time.
        """

    @abstractmethod
    async def events(self, task_id: TaskId, after: tuple[int, int] = (0, 0)) -> Sequence[Event]:
        """A portion of the task's events behind `(attempt, sequence)`, in that order.

        It ends as `portion` says; behind the last event there is an empty one.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Return if the store answers, else raise `StoreUnavailable`."""


class Lying(NamedTuple):
    """A dead letter, and where it lies in its own topic."""

    letter: DeadLetter
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class ViewUpdate:
    """What one batch changes, and the move of the offsets that goes with it."""

    commands: Sequence[SubmitTask]
    """Commands first seen; a task that already has one keeps it."""
    progress: Mapping[TaskId, Progress]
    """Whole progress of the tasks that got on; it replaces what is stored."""
    events: Sequence[Event]
    """To be added to the tasks' events; one that is there already is left as it is."""
    before: Offsets
    after: Offsets
    cancels: Sequence[CancelTask] = ()
    """Requests to cancel, in the log's order; of those for one task the latest is kept."""
    letters: Sequence[Lying] = ()
    """Dead letters; of several for one message the one set aside last is kept."""
    places: Mapping[TaskId, CommandPlace] = field(default_factory=dict)
    """Where messages of tasks stand; of all that were ever told of a task the latest is kept."""
    settlements: Sequence[Settlement] = ()
    """What was done about letters, in the log's order; the first stays, but what was sent was
    sent: a redrive replaces a discard."""


class ViewStore(StoredOffsets, Protocol):
    """Keeps the views. Several writers share the shards; each shard has one writer at a time."""

    @abstractmethod
    async def progress(self, task_ids: Iterable[TaskId]) -> dict[TaskId, Progress]:
        """What is stored of these tasks' progress."""

    @abstractmethod
    async def save(self, update: ViewUpdate) -> None:
        """Store it all or nothing, offsets included.

        Raise `OffsetsMoved` when the stored offsets are not `before`.
        """

    @abstractmethod
    async def begin_anew(self) -> Sequence[SubmitTask | CancelTask]:
        """Fit the views to a log that was lost and begins empty: tasks that have ended stay.

        Forgets the offsets and the runs of all other tasks, of a redriven one those since then,
        and returns their cancels, then their commands, oldest first, to be appended again. Until
        that is done, asking again returns them again.
        """

    @abstractmethod
    async def clear(self) -> None:
        """Forget every view and offset, so that all is folded again from the log."""
