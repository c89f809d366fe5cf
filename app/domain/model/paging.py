"""Where a page ends, as a text that its reader hands back to get the next page."""

import base64
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.domain.model.errors import InvalidInput
from app.domain.model.ids import as_task_id
from app.domain.model.task import TaskSummary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_FARTHEST = 2**62
"""No date is as far from 1970 as this; databases cannot compare with larger numbers."""


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
    return base64.urlsafe_b64encode(f"{place.created_at}/{place.id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> Place:
    """The place that a cursor names; raise `InvalidInput` for a text that is none."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        created_at, _, text = base64.b64decode(padded, b"-_", validate=True).decode().partition("/")
        place = Place(int(created_at), as_task_id(text) or "")
    except ValueError as error:
        raise InvalidInput("cursor: not one that a page has given") from error
    if not place.id or abs(place.created_at) > _FARTHEST:
        raise InvalidInput("cursor: not one that a page has given")
    return place
