"""One connection pool, for SQLite or PostgreSQL, and what a transaction means on either."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.ports.status_store import StoreUnavailable

_READING = "crewline_reading"
_PATIENCE = 10.0
"""Seconds to wait for another writer, a connection or the server."""
_PRAGMAS = (
    f"PRAGMA busy_timeout = {int(_PATIENCE * 1000)}",
    "PRAGMA journal_mode = WAL",  # readers and the writer do not wait for each other
    "PRAGMA synchronous = NORMAL",  # a power cut may lose the last moments, which the log still has
    "PRAGMA cache_size = -32768",
)
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}


@dataclass(frozen=True, slots=True)
class Database:
    """Gives out connections; whatever a driver raises inside becomes `StoreUnavailable`."""

    engine: AsyncEngine
    _reads: AsyncEngine
    _errors: tuple[type[Exception], ...]

    @property
    def is_postgres(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection, None]:
        """For single queries: each sees what is committed, and none waits for a writer."""
        async with self._translated(), self._reads.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection, None]:
        """One transaction: committed on leaving normally, rolled back on an exception."""
        async with self._translated(), self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def _translated(self) -> AsyncGenerator[None, None]:
        try:
            yield
        except self._errors as error:
            raise StoreUnavailable(f"the views cannot be reached: {_first_line(error)}") from error


@asynccontextmanager
async def open_database(url: str, *, connections: int = 5) -> AsyncGenerator[Database, None]:
    """Open `sqlite:///path` or `postgresql://user:password@host/name`; nothing connects yet."""
    address = _with_driver(url)
    if address.get_backend_name() == "sqlite":
        database = _sqlite(address, connections)
    else:
        database = _postgres(address, connections)
    try:
        yield database
    finally:
        await database.engine.dispose()


def _with_driver(url: str) -> URL:
    address = make_url(url)
    backend = address.get_backend_name()
    if backend not in _DRIVERS:
        raise ValueError(f"views live in SQLite or PostgreSQL, not in {backend!r}")
    if backend == "sqlite" and address.database in (None, "", ":memory:"):
        raise ValueError("views in SQLite need a file: sqlite:///path")
    return address.set(drivername=_DRIVERS[backend])


def _sqlite(address: URL, connections: int) -> Database:
    engine = create_async_engine(
        address,
        pool_size=connections,
        pool_timeout=_PATIENCE,
        connect_args={"timeout": _PATIENCE, "isolation_level": None},
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    reads = engine.execution_options(**{_READING: True})
    return Database(engine, reads, (SQLAlchemyError, OSError))


def _postgres(address: URL, connections: int) -> Database:
    import asyncpg  # noqa: PLC0415  an extra that those on SQLite do without

    # The offsets are in the same transaction as the rows: should the server crash and forget the
    # last commits, the projector goes on from where the rows stand. No commit need wait for a disk.
    session = {"application_name": "crewline", "synchronous_commit": "off"}
    engine = create_async_engine(
        address,
        pool_size=connections,
        pool_timeout=_PATIENCE,
        connect_args={"timeout": _PATIENCE, "server_settings": session},
    )
    reads = engine.execution_options(isolation_level="AUTOCOMMIT")
    errors = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
    return Database(engine, reads, errors)


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get(_READING):
        # at once, or two that read and then write would both fail with "database is locked"
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error)
    return (text.splitlines() or [type(error).__name__])[0]
