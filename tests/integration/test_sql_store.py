"""The SQL stores keep what every store of views promises, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.local.servers.postgres import PostgresServer
from app.adapters.local.servers.postgres_programs import programs
from app.adapters.local.servers.server import ServerUnavailable
from app.adapters.sql.migrate import migrate
from app.adapters.sql.opening import open_database
from app.adapters.sql.status_store import SqlStatusStore
from app.adapters.sql.view_store import SqlViewStore
from tests.builders import completed, started, submitted, task_id
from tests.contracts.status_store import StatusStoreContract
from tests.contracts.view_store import ViewStoreContract
from tests.contracts.views import Views, found, update


class SqlContract(StatusStoreContract, ViewStoreContract):
    @pytest.fixture
    async def views(self, url: str) -> AsyncIterator[Views]:
        await migrate(url)
        async with open_database(url) as database:
            yield Views(SqlStatusStore(database), SqlViewStore(database))


class TestOnSqlite(SqlContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/views.db"


class TestOnPostgres(SqlContract):
    @pytest.fixture
    def url(self, postgres_database: str) -> str:
        return postgres_database


@pytest.mark.postgres
async def test_nothing_that_was_read_is_forgotten_when_the_server_crashes() -> None:
    try:
        programs()
    except ServerUnavailable as error:
        pytest.skip(error.message)
    async with PostgresServer() as server:
        await migrate(server.url)
        async with open_database(server.url) as database:
            views = Views(SqlStatusStore(database), SqlViewStore(database))
            await views.writer.save(update(submitted(), started(), completed()))
            read = await found(views, task_id())
            await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        async with open_database(server.url) as database:
            assert await SqlStatusStore(database).find(task_id()) == read
