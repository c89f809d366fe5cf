"""Bring the tables to the shape this version needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from app.adapters.sql.opening import open_database

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 4_127_700_143  # any number, the same in every process


async def migrate(url: str) -> None:
    """Create or upgrade the tables; harmless when they are there, or others do the same now."""
    async with open_database(url, connections=1) as database:
        await database.write(_upgrade)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # SQLite needs none: its writing transactions exclude each other from their start
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
