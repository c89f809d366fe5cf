"""PostgreSQL: many readers and several projectors, on several machines."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy import URL, Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.adapters.sql.connection_options import connection_options
from app.adapters.sql.database import PATIENCE, Answer, Database, Work, reason
from app.ports.status_store import StoreUnavailable

# `synchronous_commit` stays as the server has it, on: the projector would make good what a crash
# takes, but somebody may have read the ending of a task already, and would read less afterwards.
_ERRORS = (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class PostgresDatabase(Database):
    def __init__(self, engine: AsyncEngine) -> None:
        self._writes = engine
        self._reads = engine.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def dialect(self) -> Dialect:
        return self._writes.dialect

    async def read(self, work: Work[Answer]) -> Answer:
        return await _run(self._reads, work)

    async def write(self, work: Work[Answer]) -> Answer:
        return await _run(self._writes, work)


@asynccontextmanager
async def open_postgres(address: URL, connections: int) -> AsyncGenerator[PostgresDatabase, None]:
    address, options = connection_options(address, PATIENCE)
    engine = create_async_engine(
        address.set(drivername="postgresql+asyncpg"),
        pool_size=connections,
        pool_timeout=PATIENCE,
        connect_args={"command_timeout": PATIENCE, **options},
        hide_parameters=True,  # an error is logged, and inputs are not for logs
    )
    try:
        yield PostgresDatabase(engine)
    finally:
        await engine.dispose()


async def _run(engine: AsyncEngine, work: Work[Answer]) -> Answer:
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except _ERRORS as error:
        raise StoreUnavailable(f"the views cannot be reached: {reason(error)}") from error
