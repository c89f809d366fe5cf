"""Where the views are: SQLite or PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app.adapters.sql.dump import dump
from app.adapters.sql.migrate import migrate
from app.adapters.sql.opening import open_database
from app.adapters.sql.status_store import SqlStatusStore
from app.adapters.sql.view_store import SqlViewStore
from app.entrypoints.settings import Settings
from app.ports.status_store import StatusStore, ViewStore


@dataclass(frozen=True, slots=True)
class Store:
    """The two sides of the views."""

    status: StatusStore
    views: ViewStore
    dump: Callable[[], Awaitable[list[str]]]
    """Every row as a line: equal lines, equal views."""


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Bring the tables up to date and open them; raise `StoreUnavailable` where that fails."""
    url = settings.store.url.get_secret_value()
    scheme, _, path = url.partition(":///")
    if scheme.startswith("sqlite"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    await migrate(url)
    async with open_database(url) as database:
        yield Store(SqlStatusStore(database), SqlViewStore(database), partial(dump, database))
