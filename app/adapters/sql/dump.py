"""All that the views hold, as lines: equal lines mean equal views, on whichever database."""

import base64
import json

from sqlalchemy import Connection, select

from app.adapters.sql.database import Database
from app.adapters.sql.schema import cancels, dead_letters, events, labels, offsets, tasks


async def dump(database: Database) -> list[str]:
    """Every row of every table as a JSON line, in the order of tables and keys.

    Views are a function of the log alone, so those built again from the same log dump the same.
    """
    return await database.read(_lines)


def _lines(views: Connection) -> list[str]:
    return [
        json.dumps([table.name, *row], ensure_ascii=False, default=_bytes)
        for table in (tasks, labels, events, cancels, dead_letters, offsets)
        for row in views.execute(select(table).order_by(*table.primary_key))
    ]


def _bytes(value: object) -> str:
    """What is no text, in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} in a view")
