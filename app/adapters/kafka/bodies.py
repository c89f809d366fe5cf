"""A message out of a body, and what a record itself says where the body says nothing."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeVar

from pydantic import ValidationError

from app.adapters.kafka.cloudevents import Attributes, Body, Record, Unreadable
from app.domain.model.ids import TaskId, as_task_id
from app.domain.model.messages import Message

Read = TypeVar("Read", bound=Message)

_START = datetime.fromtimestamp(0, UTC)


def read_body(readers: Mapping[str, Callable[[Body], Read]], kind: str | None, body: Body) -> Read:
    """The message of this kind; raise `Unreadable` where there is no reader, or it does not fit."""
    reader = readers.get(kind or "")
    if reader is None:
        raise Unreadable(f"a message of type {kind!r:.100} is not for this topic")
    try:
        return reader(body)
    except ValidationError as error:
        raise Unreadable(_summary(error)) from error
    except OverflowError as error:
        raise Unreadable("a time is out of range") from error


def subject_or_key(record: Record, attributes: Attributes) -> TaskId | None:
    """The task a record is about, as its headers or its key tell."""
    key = (record.key or b"").decode("utf-8", "replace")
    return as_task_id(attributes.subject or "") or as_task_id(key)


@lru_cache(maxsize=1_024)  # records of one batch were often written in the same millisecond
def moment(milliseconds: int) -> datetime:
    """A record's timestamp; a producer may have written any number there."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return _START


def _summary(error: ValidationError) -> str:
    """The first places that do not fit, without the values that stand there."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    places = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in errors[:3]]
    return "; ".join(places)[:500]
