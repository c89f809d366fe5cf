"""The views as readers ask them: one query for each answer."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    select,
    tuple_,
    union_all,
)

from app.adapters.sql.database import Database
from app.adapters.sql.rows import (
    LARGEST,
    cancel_of,
    command_of,
    event_of,
    plain,
    progress_of,
    summary_of,
    task_of,
)
from app.adapters.sql.schema import cancels, events, labels, offsets, tasks
from app.adapters.sql.view_store import read_offsets
from app.domain.model.commands import SubmitTask
from app.domain.model.events import Event
from app.domain.model.ids import TaskId
from app.domain.model.lifecycle import TaskState
from app.domain.model.paging import Place, cursor_at, place_of, read_cursor
from app.domain.model.task import Task, TaskSummary
from app.ports.event_log import Offsets, Shard
from app.ports.status_store import (
    Page,
    Past,
    StatusStore,
    TaskFilter,
    Unfinished,
    past_of,
    portion,
    unfinished_of,
)

_CANCEL = select(cancels.c.body).where(cancels.c.task_id == tasks.c.id).scalar_subquery()
_KNOWN = (tasks.c.command, tasks.c.traceparent, tasks.c.progress, _CANCEL)
_FIND = select(*_KNOWN).where(tasks.c.id == bindparam("task_id"))
_LISTS = 2
"""How many lists may read their tasks at one time."""
_INLINE = 16_384
"""Characters of both halves of a task up to which a list reads it together with others."""
_SIZES = 1_100
"""Events whose sizes are asked for at once: a portion and what may share its last place."""
_LARGE = (
    func.coalesce(func.length(tasks.c.command), 0) + func.coalesce(func.length(tasks.c.progress), 0)
    > _INLINE
)
_LISTED = select(
    tasks.c.id,
    _LARGE.label("large"),
    *(case((_LARGE, None), else_=column) for column in _KNOWN[:-1]),
    _CANCEL,
).where(tasks.c.id.in_(bindparam("ids", expanding=True)))

_PROGRESS = select(tasks.c.id, tasks.c.progress).where(tasks.c.progress.is_not(None))

_UNFINISHED = (
    select(tasks.c.position, *_KNOWN)
    .where(
        tasks.c.state.in_([state.value for state in TaskState if not state.terminal]),
        tasks.c.command.is_not(None),
    )
    .order_by(tasks.c.position)
    .limit(100)
)

_COMMAND = select(tasks.c.command, tasks.c.traceparent).where(
    tasks.c.id == bindparam("task_id"), tasks.c.command.is_not(None)
)


class SqlStatusStore(StatusStore):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._listing = asyncio.Semaphore(_LISTS)

    async def find(self, task_id: TaskId) -> Task | None:
        row = await self._database.read(
            lambda views: views.execute(_FIND, {"task_id": task_id}).one_or_none()
        )
        return task_of(*row) if row else None

    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        query = _PROGRESS.where(tasks.c.id.in_(task_ids))
        rows = await self._database.read(lambda views: views.execute(query).all())
        return {task_id: past_of(progress_of(told)) for task_id, told in rows}

    async def unfinished(self, shard: Shard, below: int, behind: int = -1) -> Sequence[Unfinished]:
        wanted = _UNFINISHED.where(
            tasks.c.topic == shard.topic,
            tasks.c.partition == shard.partition,
            tasks.c.position < below,
            tasks.c.position > behind,
        )
        rows = await self._database.read(lambda views: views.execute(wanted).all())
        return [
            unfinished_of(
                command_of(command, traceparent),
                progress_of(told) if told else None,
                cancel_of(cancel) if cancel else None,
                offset,
            )
            for offset, command, traceparent, told, cancel in rows
        ]

    async def command(self, task_id: TaskId) -> SubmitTask | None:
        row = await self._database.read(
            lambda views: views.execute(_COMMAND, {"task_id": task_id}).one_or_none()
        )
        return command_of(*row) if row else None

    async def list(self, wanted: TaskFilter, limit: int, cursor: str | None) -> Page:
        keys = _newest_first(wanted, read_cursor(cursor) if cursor is not None else None, limit + 1)
        found = await self._database.read(lambda views: views.scalars(keys).all())
        async with self._listing:  # large ones take their time and memory
            items = await self._database.read(lambda views: list(_summaries(views, found[:limit])))
        more = len(found) > limit and items
        return Page(items, cursor_at(place_of(items[-1])) if more else None)

    async def events(self, task_id: TaskId, after: tuple[int, int] = (0, 0)) -> Sequence[Event]:
        return await self._database.read(lambda views: _portion(views, task_id, after))

    async def offsets(self) -> Offsets:
        return await read_offsets(self._database)

    async def ping(self) -> None:
        query = select(offsets.c.next).limit(1)
        await self._database.read(lambda views: views.execute(query).all())


def _portion(views: Connection, task_id: TaskId, after: tuple[int, int]) -> list[Event]:
    """SQLite reads row by row, so that reading can end anywhere; PostgreSQL is asked for sizes."""
    place = tuple_(events.c.attempt, events.c.sequence)
    behind = (events.c.task_id == task_id, place > tuple_(*(min(n, LARGEST) for n in after)))
    ordered = (events.c.attempt, events.c.sequence, events.c.type)
    rows = select(events.c.type, events.c.body, events.c.traceparent, *ordered[:2])
    rows = rows.where(*behind).order_by(*ordered)
    if views.dialect.name == "sqlite":
        with views.execute(rows) as found:
            sized = (((row.attempt, row.sequence), len(row.body), row) for row in found)
            return [event_of(*row[:3]) for row in portion(sized)]
    sizes = select(*ordered[:2], func.octet_length(events.c.body)).where(*behind)
    sizes = sizes.order_by(*ordered).limit(_SIZES)
    measured = (((row[0], row[1]), row[2], row) for row in views.execute(sizes))
    count = len(portion(measured))
    return [event_of(*row[:3]) for row in views.execute(rows.limit(count))] if count else []


def _summaries(views: Connection, ids: Sequence[str]) -> Iterator[TaskSummary]:
    """These tasks, in this order; halves that are large are read one after the other."""
    rows = {row.id: row for row in views.execute(_LISTED, {"ids": list(ids)})}
    for row in (rows[each] for each in ids if each in rows):
        whole = views.execute(_FIND, {"task_id": row.id}).one_or_none() if row.large else row[2:]
        if whole is not None:
            yield summary_of(*whole)


def _newest_first(wanted: TaskFilter, behind: Place | None, limit: int) -> Select[Any]:
    """The ids of so many tasks. Each state is looked up by itself, as the index has them."""
    states: Sequence[TaskState | None] = [*dict.fromkeys(wanted.states)] or [None]
    parts = [_of_state(state, wanted, behind).limit(limit) for state in states]
    if len(parts) == 1:
        part = parts[0].subquery()
    else:
        part = union_all(*(select(each.subquery()) for each in parts)).subquery()
    newest = part.c.created_at.desc(), part.c.id.desc()
    return select(part.c.id).order_by(*newest).limit(limit)


def _of_state(state: TaskState | None, wanted: TaskFilter, behind: Place | None) -> Select[Any]:
    """The query follows the index of the first label, where one is asked for, else the tasks'.

    The others are looked up for each task: joined, they would cost a planner seconds.
    """
    pairs = [*wanted.labels.items()]
    place = (labels.c.created_at, labels.c.task_id) if pairs else (tasks.c.created_at, tasks.c.id)
    query = select(place[0].label("created_at"), place[1].label("id"))
    query = query.select_from(tasks).where(*_conditions(wanted))
    if state is not None:
        query = query.where(tasks.c.state == state.value)
    if pairs:
        query = query.join(labels, labels.c.task_id == tasks.c.id)
        query = query.where(_is(labels, pairs[0]))
    for other in pairs[1:]:
        label = labels.alias()
        found = select(literal(1)).where(
            _is(label, other),
            label.c.created_at == labels.c.created_at,
            label.c.task_id == labels.c.task_id,
        )
        query = query.where(found.correlate(labels).scalar_subquery() == 1)
    if wanted.above is not None:
        query = query.where(place[0] > wanted.above)
    if wanted.below is not None:
        query = query.where(place[0] < wanted.below)
    if behind is not None:
        query = query.where(tuple_(*place) < tuple_(*behind))
    return query.order_by(*(column.desc() for column in place))


def _is(label: FromClause, pair: tuple[str, str]) -> ColumnElement[bool]:
    key, value = pair
    return and_(label.c.key == plain(key), label.c.value == plain(value))


def _conditions(wanted: TaskFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.agent is not None:
        yield tasks.c.agent == wanted.agent
    if wanted.context_id is not None:
        yield tasks.c.context_id == plain(wanted.context_id)
