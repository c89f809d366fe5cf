"""Find the database that a URL names."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app.adapters.sql.database import Database
from app.adapters.sql.sqlite import open_sqlite


@asynccontextmanager
async def open_database(url: str, *, connections: int = 5) -> AsyncGenerator[Database, None]:
    """Open `sqlite:///path` or `postgresql://user:password@host/name`; nothing connects yet.

    A driver in the URL (`sqlite+aiosqlite`, `postgresql+asyncpg`) is accepted and passed over.
    Raises `ValueError` for any other kind.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # the latter's words might show a part of the password
        raise ValueError("not a database URL; try sqlite:///path or postgresql://...") from None
    match address.get_backend_name():
        case "sqlite":
            async with open_sqlite(address, connections) as database:
                yield database
        case "postgresql":
            # asyncpg is an extra, which those on SQLite do without
            from app.adapters.sql.postgres import open_postgres  # noqa: PLC0415

            async with open_postgres(address, connections) as database:
                yield database
        case other:
            raise ValueError(f"views live in SQLite or PostgreSQL, not in {other!r}")
