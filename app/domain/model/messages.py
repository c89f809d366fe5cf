"""What every message on the wire has in common."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from app.domain.model.redaction import mask_secrets


def _in_utc_milliseconds(at: datetime) -> datetime:
    if at.tzinfo is not UTC:
        try:
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("lies before the first or after the last year there is") from error
    too_fine = at.microsecond % 1000
    return at.replace(microsecond=at.microsecond - too_fine) if too_fine else at


@lru_cache(maxsize=4_096)  # one time stands in several places, in headers, bodies and views
def rfc3339(at: datetime) -> str:
    """A time as we write it everywhere: RFC 3339, UTC, milliseconds."""
    if at.tzinfo is not UTC:
        at = at.astimezone(UTC)
    return at.isoformat(timespec="milliseconds")[:-6] + "Z"  # instead of +00:00


Timestamp = Annotated[
    datetime,
    AfterValidator(_in_utc_milliseconds),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
"""A moment in UTC with millisecond precision; a time without an offset is read as UTC."""


_DATE = re.compile(r"\d{4}-")


def _no_number(at: object) -> object:
    if isinstance(at, int | float) or (isinstance(at, str) and not _DATE.match(at)):
        raise ValueError("is no time by RFC 3339, such as 2026-01-31T12:00:00Z")
    return at


WrittenTime = Annotated[Timestamp, BeforeValidator(_no_number)]
"""A `Timestamp` as people and programs write it: 5 is no moment in 1970, but a mistake."""


Told = Annotated[str, AfterValidator(mask_secrets)]
"""A text for people that may quote an exception: nobody's secrets are left in it."""


class Value(BaseModel):
    """An immutable part of a message. Fields a newer version added are kept and ignored."""

    model_config = ConfigDict(
        frozen=True, extra="allow", allow_inf_nan=False, use_attribute_docstrings=True
    )


class Message(Value):
    """A command or an event. `TYPE` ends in its version; within it fields are only ever added."""

    TYPE: ClassVar[str]

    traceparent: str | None = Field(default=None, exclude=True)
    """W3C trace context the message travels with; a header on the wire, never in the body."""


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a W3C `traceparent` (version-traceid-parentid-flags), if there is one."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else None
