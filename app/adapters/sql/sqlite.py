"""SQLite: one file, read by many while one writes."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from app.adapters.sql.database import PATIENCE, Answer, Database, Work, reason
from app.ports.private_files import make_private_file
from app.ports.status_store import StoreUnavailable

_PRAGMAS = (
    f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}",
    "PRAGMA journal_mode = WAL",  # readers and the writer do not wait for each other
    "PRAGMA synchronous = NORMAL",  # a power cut may lose the last moments, which the log still has
    "PRAGMA cache_size = -32768",
    "PRAGMA wal_autocheckpoint = 8000",  # 32 MB: a page that changes often is copied over once
)
_READING = "crewline_reading"


class SqliteDatabase(Database):
    def __init__(self, engine: Engine, threads: ThreadPoolExecutor) -> None:
        self._writes = engine
        self._reads = engine.execution_options(**{_READING: True})
        self._threads = threads

    @property
    def dialect(self) -> Dialect:
        return self._writes.dialect

    async def read(self, work: Work[Answer]) -> Answer:
        return await self._in_thread(self._reads, work)

    async def write(self, work: Work[Answer]) -> Answer:
        return await self._in_thread(self._writes, work)

    async def _in_thread(self, engine: Engine, work: Work[Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, _run, engine, work)


@asynccontextmanager
async def open_sqlite(address: URL, connections: int) -> AsyncGenerator[SqliteDatabase, None]:
    if address.database in (None, "", ":memory:"):
        raise ValueError("views in SQLite need a file: sqlite:///path")
    _keep_private(Path(address.database or ""))
    engine = create_engine(
        address.set(drivername="sqlite+pysqlite"),
        pool_size=connections,
        connect_args={"timeout": PATIENCE, "isolation_level": None},
        hide_parameters=True,  # an error is logged, and inputs are not for logs
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    threads = ThreadPoolExecutor(connections, thread_name_prefix="views")
    try:
        yield SqliteDatabase(engine, threads)
    finally:
        await asyncio.to_thread(threads.shutdown)  # a transaction under way is finished first
        engine.dispose()


def _keep_private(file: Path) -> None:
    """The files are for their owner alone; SQLite gives those beside it the mode of the first."""
    with suppress(OSError):  # whoever opens it says what is wrong
        make_private_file(file)
        for beside in (f"{file}-wal", f"{file}-shm", f"{file}-journal"):
            if Path(beside).exists():
                make_private_file(Path(beside))


def _run(engine: Engine, work: Work[Answer]) -> Answer:
    try:
        with engine.begin() as connection:
            return work(connection)
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(f"the views cannot be reached: {reason(error)}") from error


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get(_READING):
        # at once: of two that read first and write later, one would fail without waiting
        connection.exec_driver_sql("BEGIN IMMEDIATE")
