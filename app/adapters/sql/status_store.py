"""The views as readers ask them: one query for each answer."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, tuple_

from app.adapters.sql.database import Database
from app.adapters.sql.rows import event_of, plain, task_of
from app.adapters.sql.schema import events, labels, offsets, tasks
from app.domain.model.events import Event
from app.domain.model.ids import TaskId
from app.domain.model.paging import cursor_at, place_of, read_cursor
from app.domain.model.task import Task
from app.ports.status_store import Page, StatusStore, TaskFilter

_HALVES = (tasks.c.command, tasks.c.traceparent, tasks.c.progress)


class SqlStatusStore(StatusStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, task_id: TaskId) -> Task | None:
        query = select(*_HALVES).where(tasks.c.id == task_id)
        row = await self._database.read(lambda views: views.execute(query).one_or_none())
        return task_of(*row) if row else None

    async def list(self, wanted: TaskFilter, limit: int, cursor: str | None) -> Page:
        place = (tasks.c.created_at, tasks.c.id)
        query = (
            select(*_HALVES)
            .where(*_conditions(wanted))
            .order_by(*(column.desc() for column in place))
            .limit(limit + 1)
        )
        if cursor is not None:
            query = query.where(tuple_(*place) < tuple_(*read_cursor(cursor)))
        rows = await self._database.read(lambda views: views.execute(query).all())
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

    async def ping(self) -> None:
        query = select(offsets.c.next).limit(1)
        await self._database.read(lambda views: views.execute(query).all())


def _conditions(wanted: TaskFilter) -> Sequence[ColumnElement[bool]]:
    conditions = []
    if wanted.state is not None:
        conditions.append(tasks.c.state == wanted.state.value)
    if wanted.agent is not None:
        conditions.append(tasks.c.agent == wanted.agent)
    if wanted.context_id is not None:
        conditions.append(tasks.c.context_id == plain(wanted.context_id))
    for key, value in wanted.labels.items():
        labelled = select(labels.c.task_id).where(
            labels.c.key == plain(key), labels.c.value == plain(value)
        )
        conditions.append(tasks.c.id.in_(labelled))
    return conditions
