"""The SQL stores keep what every store of views promises, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.adapters.sql.migrate import migrate
from app.adapters.sql.opening import open_database
from app.adapters.sql.status_store import SqlStatusStore
from app.adapters.sql.view_store import SqlViewStore
from tests.contracts.status_store import StatusStoreContract
from tests.contracts.view_store import ViewStoreContract
from tests.contracts.views import Views


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
