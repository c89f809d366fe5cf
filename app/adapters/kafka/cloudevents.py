"""CloudEvents 1.0 over Kafka: attributes in headers (binary), or all in the value (structured).

The `cloudevents` package does the same for any transport; measured beside this it takes several
times as long per message, which is felt where tens of thousands pass in a second.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from math import isfinite
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from pydantic_core import from_json

from app.adapters.kafka.inflating import Oversized
from app.domain.model.commands import NOTHING_EARLIER, Earlier
from app.domain.model.messages import rfc3339

Headers = Sequence[tuple[str, bytes]]
Body = dict[str, Any]

TYPE_PREFIX = "crewline."
_COUNTS = ("crewline-attempts", "crewline-failures", "crewline-redrives")
_REDRIVEN_AT = "crewline-redriven-at"
EARLIER = (*_COUNTS, _REDRIVEN_AT)
"""The headers that say what became of a task before."""
_PORTABLE = frozenset({str, int, bool, type(None), datetime})
_DEEPEST = 64
"""Levels of arrays and objects, as over HTTP."""
_STRUCTURED = "application/cloudevents"
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


class Record(Protocol):
    """A record as Kafka hands it out; aiokafka's `ConsumerRecord` is one."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...


class Unreadable(Exception):
    """The value is not what the headers promise; says why, without quoting it."""


class Attributes(NamedTuple):
    """What an event says about itself beside its body; plain JSON says nothing."""

    type: str | None = None
    subject: str | None = None
    time: str | None = None
    traceparent: str | None = None
    content_type: str = "application/json"
    earlier: Earlier = NOTHING_EARLIER

    @property
    def structured(self) -> bool:
        """Whether all stands in the value."""
        return self.content_type.startswith(_STRUCTURED)


_NOTHING_SAID = Attributes()


def write_headers(attributes: Attributes, event_id: str, source: str) -> list[tuple[str, bytes]]:
    """The headers of an event in binary mode; `attributes` has a type, a subject and a time."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", f"{TYPE_PREFIX}{attributes.type}".encode()),
        ("ce_time", f"{attributes.time}".encode()),
        ("ce_subject", f"{attributes.subject}".encode()),
        ("content-type", attributes.content_type.encode()),
    ]
    if attributes.traceparent is not None:
        headers.append(("traceparent", attributes.traceparent.encode()))
    if any(attributes.earlier):
        headers += write_earlier(attributes.earlier)
    return headers


def write_earlier(earlier: Earlier) -> list[tuple[str, bytes]]:
    """The headers that say what became of a task before."""
    counts = zip(_COUNTS, (earlier.attempts, earlier.failures, earlier.redrives), strict=True)
    headers = [(name, str(number).encode()) for name, number in counts]
    if earlier.redriven_at is not None:
        headers.append((_REDRIVEN_AT, rfc3339(earlier.redriven_at).encode()))
    return headers


def source_of_worker(worker_id: str) -> str:
    """The `source` of what a worker says: a URI reference, whatever its name is made of."""
    return f"/crewline/workers/{quote(worker_id, safe='')}"


def read_headers(headers: Iterable[tuple[str, bytes | None]]) -> Attributes:
    """What the headers say. Of a repeated header the last counts; broken bytes are replaced."""
    found = dict(headers)
    if not found:
        return _NOTHING_SAID
    content_type = _text(found.get("content-type"))
    return Attributes(
        _text(found.get("ce_type")),
        _text(found.get("ce_subject")),
        _text(found.get("ce_time")),
        _trace_context(_text(found.get("traceparent"))),
        content_type.lower() if content_type else "application/json",
        _earlier(found) if _COUNTS[0] in found else NOTHING_EARLIER,
    )


def read_event(value: bytes, attributes: Attributes) -> tuple[Attributes, Body]:
    """The body, with its attributes, wherever they stand; raise `Unreadable` where it has none."""
    if isinstance(value, Oversized):
        raise Unreadable(value.detail)
    body = _object(value)
    if attributes.structured:
        return _read_structured(body, attributes)
    return attributes, body


def _read_structured(event: Body, outside: Attributes) -> tuple[Attributes, Body]:
    attributes = Attributes(
        type=_string(event.get("type")),
        subject=_string(event.get("subject")) or outside.subject,
        time=_string(event.get("time")),
        traceparent=_trace_context(_string(event.get("traceparent"))) or outside.traceparent,
        earlier=outside.earlier,
    )
    if attributes.type is None:
        raise Unreadable("the CloudEvent has no type")
    data = event.get("data")
    if isinstance(data, dict):
        return attributes, data
    encoded = event.get("data_base64")
    if not isinstance(encoded, str):
        raise Unreadable("the CloudEvent's data is not a JSON object")
    try:
        return attributes, _object(base64.b64decode(encoded, validate=True))
    except ValueError as error:
        raise Unreadable("the CloudEvent's data_base64 is not base64") from error


def _object(value: bytes) -> Body:
    if not value:
        raise Unreadable("the value is empty")
    try:
        body = from_json(value, allow_inf_nan=False)
    except ValueError as error:
        raise Unreadable(f"the value is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Unreadable("the value is JSON, but not an object")
    if not portable(body.values()):
        raise Unreadable(f"the value is nested over {_DEEPEST} deep, or a number is too large")
    return body


def _earlier(found: Mapping[str, bytes | None]) -> Earlier:
    attempts, failures, redrives = (_count(found.get(name)) for name in _COUNTS)
    return Earlier(attempts, failures, redrives, read_time(_text(found.get(_REDRIVEN_AT))))


def _count(value: bytes | None) -> int:
    """A small number; whoever writes to the topic may have written anything."""
    return int(value) if value and len(value) <= 6 and value.isdigit() else 0


def read_time(text: str | None) -> datetime | None:
    """A time as headers write it; None where there is none, or it cannot be read."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None


def _text(value: bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if value else None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _trace_context(text: str | None) -> str | None:
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None


def portable(values: Iterable[Any], levels: int = _DEEPEST) -> bool:
    """Whether every reader can take these: JSON may write 1e999, or nest without end."""
    for value in values:
        kind = type(value)
        if kind in _PORTABLE:
            continue
        if kind is float:
            if not isfinite(value):
                return False
        elif levels == 1 or not portable(_inside(value), levels - 1):
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, str):
        return ()
    extra = value.__pydantic_extra__
    return chain(value.__dict__.values(), extra.values()) if extra else value.__dict__.values()
