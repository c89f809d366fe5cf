"""A full disk is a real one: the database refuses what makes it larger, and keeps what it has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.adapters.local.servers.postgres import PostgresServer
from app.adapters.local.servers.server import ServerUnavailable
from app.adapters.sql.dump import dump
from app.adapters.sql.migrate import migrate
from app.adapters.sql.opening import open_database
from app.adapters.sql.view_store import SqlViewStore
from app.ports.event_log import Shard
from app.ports.status_store import StoreUnavailable, ViewUpdate
from tests import servers
from tests.builders import submitted
from tests.chaos.disks import Disk, install
from tests.chaos.storing import sqlite_file, sqlite_in

_SHARD = Shard("commands", 0)


@asynccontextmanager
async def views_on(kind: str, folder: Path) -> AsyncIterator[tuple[str, PostgresServer | Path]]:
    if kind == "sqlite":
        yield sqlite_in(folder), sqlite_file(folder)
        return
    server = PostgresServer()
    try:
        await asyncio.to_thread(server.start)
    except ServerUnavailable as error:
        servers.missing("A PostgreSQL of its own", error.message)
    try:
        yield server.url, server
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def test_a_full_disk_refuses_rows_and_takes_them_later(kind: str, tmp_path: Path) -> None:
    async with views_on(kind, tmp_path) as (url, where):
        await migrate(url)
        disk = Disk(tmp_path / "disk-is-full", where)
        if not disk.can_be_filled:
            pytest.skip("there is no prlimit on this machine")
        install(disk.flag)
        async with open_database(url) as database:
            views = SqlViewStore(database)
            await views.save(_update(0, tasks=200))
            await views.clear()  # it leaves room, which must not be there when the disk is full
            await views.save(_update(0, tasks=1))
            before = await dump(database)
            await asyncio.to_thread(disk.fill)
            with pytest.raises(StoreUnavailable, match=r"full|could not extend"):
                await views.save(_update(1, tasks=100))
            assert await dump(database) == before
            assert await asyncio.to_thread(disk.free) == 1
            await views.save(_update(1, tasks=100))
            assert await views.offsets() == {_SHARD: 2}


def _update(number: int, tasks: int) -> ViewUpdate:
    commands = [submitted(f"t-{number}-{each}", input="x" * 2_000) for each in range(tasks)]
    before = {_SHARD: number} if number else {}
    return ViewUpdate(commands, {}, [], before=before, after={_SHARD: number + 1})
