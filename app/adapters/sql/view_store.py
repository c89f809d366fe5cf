"""The views as the projector keeps them: rows and offsets move together or not at all.

Several projectors may write at once, so every transaction takes its locks in the same order:
offsets, tasks, labels, events, cancels, letters, each sorted by key. Two of them may write the
same task, one its command and one its progress; each fills only its own columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, delete, select, tuple_

from app.adapters.sql.anew import begin_anew
from app.adapters.sql.database import Database
from app.adapters.sql.letter_rows import letter_row, settled_row
from app.adapters.sql.rows import (
    LabelRow,
    TaskRow,
    cancel_row,
    command_row,
    event_row,
    label_rows,
    progress_of,
    progress_row,
)
from app.adapters.sql.schema import cancels, dead_letters, events, labels, offsets, tasks
from app.adapters.sql.statements import Statements, statements_for
from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.ids import TaskId
from app.domain.model.progress import Progress
from app.ports.event_log import Offsets, Shard
from app.ports.status_store import OffsetsMoved, ViewStore, ViewUpdate

_Item = TypeVar("_Item")
_AT_ONCE = 1_000
"""How many ids one query names; the databases allow some thirty thousand."""


async def read_offsets(database: Database) -> Offsets:
    """How far each shard of the log has been folded into the views."""
    rows = await database.read(lambda views: views.execute(select(offsets)).all())
    return {Shard(topic, partition): following for topic, partition, following in rows}


class SqlViewStore(ViewStore):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = statements_for(database.dialect)

    async def offsets(self) -> Offsets:
        return await read_offsets(self._database)

    async def progress(self, task_ids: Iterable[TaskId]) -> dict[TaskId, Progress]:
        wanted = sorted(task_ids)
        if not wanted:
            return {}
        stored = await self._database.read(lambda views: _stored_progress(views, wanted))
        return {task_id: progress_of(text) for task_id, text in stored}

    async def save(self, update: ViewUpdate) -> None:
        await self._database.write(lambda views: _save(views, self._statements, update))

    async def clear(self) -> None:
        await self._database.write(_clear)

    async def begin_anew(self) -> Sequence[SubmitTask | CancelTask]:
        return await self._database.write(begin_anew)


def _stored_progress(views: Connection, wanted: Sequence[TaskId]) -> list[tuple[TaskId, str]]:
    query = select(tasks.c.id, tasks.c.progress).where(tasks.c.progress.is_not(None))
    return [
        (task_id, progress)
        for some in _portions(wanted)
        for task_id, progress in views.execute(query.where(tasks.c.id.in_(some)))
    ]


def _save(views: Connection, statements: Statements, update: ViewUpdate) -> None:
    commands = {command.id: command for command in reversed(update.commands)}
    rows = _task_rows(commands, update)
    _move(views, statements, update.before, update.after)
    _run(views, statements.write_tasks, rows)
    _run(views, statements.add_labels, _new_labels(views, commands, rows))
    told = sorted(map(event_row, update.events), key=lambda row: row[:4])
    _run(views, statements.add_events, told)
    asked = sorted(map(cancel_row, update.cancels), key=lambda row: row.task_id)
    _run(views, statements.write_cancels, asked)
    lying = sorted(map(letter_row, update.letters), key=lambda row: row.id)
    _run(views, statements.write_letters, lying)
    done = sorted(map(settled_row, update.settlements), key=lambda row: row.id)
    _run(views, statements.settle_letters, done)


def _clear(views: Connection) -> None:
    for table in (offsets, tasks, labels, events, cancels, dead_letters):
        views.execute(delete(table))


def _move(views: Connection, statements: Statements, before: Offsets, after: Offsets) -> None:
    """Compare and set; never read and read up to 0 are the same."""
    shards = sorted(before.keys() | after.keys())
    _run(views, statements.add_offsets, [(*each, 0) for each in shards if not before.get(each)])
    stored = _locked(views, shards)
    for shard in shards:
        expected, actual = before.get(shard, 0), stored.get(shard, 0)
        if expected != actual:
            where = f"{shard.topic}/{shard.partition}"
            raise OffsetsMoved(f"{where} is folded up to {actual}, not {expected}")
    _run(views, statements.move_offsets, [(after[each], *each) for each in shards if each in after])


def _locked(views: Connection, shards: Sequence[Shard]) -> dict[Shard, int]:
    query = select(offsets).order_by(offsets.c.topic, offsets.c.partition).with_for_update()
    key = tuple_(offsets.c.topic, offsets.c.partition)
    return {
        Shard(topic, partition): following
        for some in _portions(shards)
        for topic, partition, following in views.execute(query.where(key.in_(some)))
    }


def _task_rows(commands: Mapping[TaskId, SubmitTask], update: ViewUpdate) -> list[TaskRow]:
    """One row for each task, sorted by id, with what the batch tells of either half."""
    rows = {task_id: command_row(command) for task_id, command in commands.items()}
    for task_id, known in update.progress.items():
        rows[task_id] = progress_row(known, rows.get(task_id))
    for task_id, place in update.places.items():
        rows[task_id] = rows[task_id]._replace(
            written_at=place.written_at,
            topic=place.topic,
            partition=place.partition,
            position=place.offset,
        )
    return [rows[task_id] for task_id in sorted(rows)]


def _new_labels(
    views: Connection, commands: Mapping[TaskId, SubmitTask], rows: Iterable[TaskRow]
) -> list[LabelRow]:
    """The labels of those commands that turned out to be the first of their task."""
    ours = {TaskId(row.id): row.command for row in rows if row.id in commands}
    labelled = [task_id for task_id in ours if commands[task_id].labels]
    query = select(tasks.c.id, tasks.c.command)
    return sorted(
        label
        for some in _portions(labelled)
        for task_id, stored in views.execute(query.where(tasks.c.id.in_(some)))
        if stored == ours[task_id]
        for label in label_rows(commands[task_id])
    )


def _portions(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _run(views: Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        views.exec_driver_sql(statement, list(rows))
