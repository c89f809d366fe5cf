"""The views as the projector keeps them: rows and offsets move together or not at all.

Several projectors may write at once, so every transaction takes its locks in the same order:
offsets, tasks, labels, events, each sorted by key. Two of them may write the same task, one its
command and one its progress; each fills only its own columns.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.adapters.sql.database import Database
from app.adapters.sql.rows import (
    LabelRow,
    TaskRow,
    command_row,
    event_row,
    label_rows,
    progress_of,
    progress_row,
)
from app.adapters.sql.schema import events, labels, offsets, tasks
from app.adapters.sql.statements import statements_for
from app.domain.model.commands import SubmitTask
from app.domain.model.ids import TaskId
from app.domain.model.task import Progress
from app.ports.event_log import Offsets, Shard
from app.ports.status_store import OffsetsMoved, ViewStore, ViewUpdate

_Item = TypeVar("_Item")
_AT_ONCE = 1_000
"""How many ids one query names; the databases allow some thirty thousand."""


class SqlViewStore(ViewStore):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = statements_for(database.engine.dialect)

    async def offsets(self) -> Offsets:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(offsets))
            return {Shard(topic, partition): following for topic, partition, following in rows}

    async def progress(self, task_ids: Iterable[TaskId]) -> dict[TaskId, Progress]:
        ids = sorted(task_ids)
        found: dict[TaskId, Progress] = {}
        if not ids:
            return found
        query = select(tasks.c.id, tasks.c.progress).where(tasks.c.progress.is_not(None))
        async with self._database.reading() as connection:
            for some in _portions(ids):
                for task_id, progress in await connection.execute(
                    query.where(tasks.c.id.in_(some))
                ):
                    found[task_id] = progress_of(progress)
        return found

    async def save(self, update: ViewUpdate) -> None:
        commands = {command.id: command for command in reversed(update.commands)}
        rows = _task_rows(commands, update.progress)
        told = sorted(map(event_row, update.events), key=lambda row: row[:4])
        async with self._database.writing() as connection:
            await self._move(connection, update.before, update.after)
            await _run(connection, self._statements.write_tasks, rows)
            await self._label(connection, commands, rows)
            await _run(connection, self._statements.add_events, told)

    async def clear(self) -> None:
        async with self._database.writing() as connection:
            for table in (offsets, tasks, labels, events):
                await connection.execute(delete(table))

    async def _move(self, connection: AsyncConnection, before: Offsets, after: Offsets) -> None:
        """Compare and set; never read and read up to 0 are the same."""
        shards = sorted(before.keys() | after.keys())
        unread = [(*shard, 0) for shard in shards if not before.get(shard)]
        await _run(connection, self._statements.add_offsets, unread)
        stored = await self._locked(connection, shards)
        for shard in shards:
            expected, actual = before.get(shard, 0), stored.get(shard, 0)
            if expected != actual:
                where = f"{shard.topic}/{shard.partition}"
                raise OffsetsMoved(f"{where} is folded up to {actual}, not {expected}")
        moves = [(after[shard], *shard) for shard in shards if shard in after]
        await _run(connection, self._statements.move_offsets, moves)

    async def _locked(
        self, connection: AsyncConnection, shards: Sequence[Shard]
    ) -> dict[Shard, int]:
        stored: dict[Shard, int] = {}
        query = select(offsets).order_by(offsets.c.topic, offsets.c.partition).with_for_update()
        for some in _portions(shards):
            ours = tuple_(offsets.c.topic, offsets.c.partition).in_(some)
            for topic, partition, following in await connection.execute(query.where(ours)):
                stored[Shard(topic, partition)] = following
        return stored

    async def _label(
        self,
        connection: AsyncConnection,
        commands: Mapping[TaskId, SubmitTask],
        rows: Iterable[TaskRow],
    ) -> None:
        """Add the labels of those commands that turned out to be the first of their task."""
        ours = {TaskId(row.id): row.command for row in rows if row.id in commands}
        labelled = [task_id for task_id in ours if commands[task_id].labels]
        query = select(tasks.c.id, tasks.c.command)
        added: list[LabelRow] = []
        for some in _portions(labelled):
            for task_id, stored in await connection.execute(query.where(tasks.c.id.in_(some))):
                if stored == ours[task_id]:
                    added += label_rows(commands[task_id])
        await _run(connection, self._statements.add_labels, sorted(added))


def _task_rows(
    commands: Mapping[TaskId, SubmitTask], progress: Mapping[TaskId, Progress]
) -> list[TaskRow]:
    """One row for each task, sorted by id, with what the batch tells of either half."""
    rows = {task_id: command_row(command) for task_id, command in commands.items()}
    for task_id, known in progress.items():
        rows[task_id] = progress_row(known, rows.get(task_id))
    return [rows[task_id] for task_id in sorted(rows)]


def _portions(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


async def _run(
    connection: AsyncConnection, statement: str, rows: Sequence[tuple[object, ...]]
) -> None:
    if rows:
        await connection.exec_driver_sql(statement, list(rows))
