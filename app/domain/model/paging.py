"""Where a page ends, as a text that its reader hands back to get the next page."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.domain.model.errors import InvalidInput
from app.domain.model.task import TaskSummary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
CURSOR = r"^-?[0-9]{1,15}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""How a cursor looks: milliseconds since 1970, which have fifteen digits up to the year 9999, and
an id. To whoever hands it back it is a text without a meaning."""


class Place(NamedTuple):
    """A place among all, which compare by time, then by id: a task's by its creation."""

    created_at: int
    """Milliseconds since 1970."""
    id: str


def place_of(task: TaskSummary) -> Place:
    return Place(milliseconds(task.created_at), task.id)


def milliseconds(at: datetime) -> int:
    """A moment as milliseconds since 1970, which sort and compare alike everywhere."""
    return (at - _EPOCH) // _MILLISECOND


def cursor_at(place: Place) -> str:
    """The cursor of the page behind that place."""
    return f"{place.created_at}.{place.id}"


def read_cursor(cursor: str) -> Place:
    """The place that a cursor names; raise `InvalidInput` for a text that is none."""
    if not re.fullmatch(CURSOR, cursor):
        raise InvalidInput("cursor: not one that a page has given")
    created_at, _, of = cursor.partition(".")
    return Place(int(created_at), of)
