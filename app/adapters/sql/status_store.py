"""The views as readers ask them: one query for each answer."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, select, tuple_

from app.adapters.sql.database import Database
from app.adapters.sql.rows import command_of, event_of, plain, task_of
from app.adapters.sql.schema import cancels, events, labels, offsets, tasks
from app.adapters.sql.view_store import read_offsets
from app.domain.model.commands import SubmitTask
from app.domain.model.events import Event
from app.domain.model.ids import TaskId
from app.domain.model.paging import Place, cursor_at, place_of, read_cursor
from app.domain.model.task import Task
from app.ports.event_log import Offsets
from app.ports.status_store import Page, StatusStore, TaskFilter

_CANCEL = select(cancels.c.body).where(cancels.c.task_id == tasks.c.id).scalar_subquery()
_KNOWN = (tasks.c.command, tasks.c.traceparent, tasks.c.progress, _CANCEL)
_FIND = select(*_KNOWN).where(tasks.c.id == bindparam("task_id"))

_COMMAND = select(tasks.c.command, tasks.c.traceparent).where(
    tasks.c.id == bindparam("task_id"), tasks.c.command.is_not(None)
)


class SqlStatusStore(StatusStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, task_id: TaskId) -> Task | None:
        row = await self._database.read(
            lambda views: views.execute(_FIND, {"task_id": task_id}).one_or_none()
        )
        return task_of(*row) if row else None

    async def command(self, task_id: TaskId) -> SubmitTask | None:
        row = await self._database.read(
            lambda views: views.execute(_COMMAND, {"task_id": task_id}).one_or_none()
        )
        return command_of(*row) if row else None

    async def list(self, wanted: TaskFilter, limit: int, cursor: str | None) -> Page:
        query = _newest_first(wanted, read_cursor(cursor) if cursor is not None else None)
        rows = await self._database.read(lambda views: views.execute(query.limit(limit + 1)).all())
        items = [task_of(*row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(items, cursor_at(place_of(items[-1])) if more else None)

    async def events(self, task_id: TaskId, after: tuple[int, int] = (0, 0)) -> Sequence[Event]:
        place = tuple_(events.c.attempt, events.c.sequence)
        query = (
            select(events.c.type, events.c.body, events.c.traceparent)
            .where(events.c.task_id == task_id, place > tuple_(*after))
            .order_by(events.c.attempt, events.c.sequence, events.c.type)
        )
        rows = await self._database.read(lambda views: views.execute(query).all())
        return [event_of(*row) for row in rows]

    async def offsets(self) -> Offsets:
        return await read_offsets(self._database)

    async def ping(self) -> None:
        query = select(offsets.c.next).limit(1)
        await self._database.read(lambda views: views.execute(query).all())


def _newest_first(wanted: TaskFilter, behind: Place | None) -> Select[Any]:
    """The query follows the index of the first label, where one is asked for, else the tasks'."""
    query = select(*_KNOWN).where(*_conditions(wanted))
    place = (tasks.c.created_at, tasks.c.id)
    for number, (key, value) in enumerate(wanted.labels.items()):
        label = labels.alias(f"label_{number}")
        query = query.join(label, label.c.task_id == tasks.c.id)
        query = query.where(label.c.key == plain(key), label.c.value == plain(value))
        if number == 0:
            place = (label.c.created_at, label.c.task_id)
    if behind is not None:
        query = query.where(tuple_(*place) < tuple_(*behind))
    return query.order_by(*(column.desc() for column in place))


def _conditions(wanted: TaskFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.state is not None:
        yield tasks.c.state == wanted.state.value
    if wanted.agent is not None:
        yield tasks.c.agent == wanted.agent
    if wanted.context_id is not None:
        yield tasks.c.context_id == plain(wanted.context_id)
