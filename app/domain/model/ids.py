"""Typed names, so a TaskId is never an AgentName."""

import re
import uuid
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, NewType

from pydantic import StringConstraints

TaskId = NewType("TaskId", str)
AgentName = NewType("AgentName", str)
RuntimeName = NewType("RuntimeName", str)
ContextId = NewType("ContextId", str)
WorkerId = NewType("WorkerId", str)
LetterId = NewType("LetterId", str)

_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORTEST = 32
"""Characters of a UUID without its hyphens."""
_SLUG = r"^[a-z][a-z0-9_-]{0,62}$"

TaskIdField = Annotated[TaskId, StringConstraints(to_lower=True, pattern=_UUID)]
AgentNameField = Annotated[AgentName, StringConstraints(pattern=_SLUG)]
RuntimeNameField = Annotated[RuntimeName, StringConstraints(pattern=_SLUG)]
ContextIdField = Annotated[ContextId, StringConstraints(min_length=1, max_length=128)]
LetterIdField = Annotated[LetterId, StringConstraints(to_lower=True, pattern=_UUID)]
WorkerIdField = Annotated[WorkerId, StringConstraints(min_length=1, max_length=255)]

_NAMESPACE = uuid.UUID("6f1f0d5e-6b59-5d5c-9f0a-2f6a3c1f7a10")


def uuid7(at: datetime, entropy: bytes) -> str:
    """A UUIDv7 (RFC 9562 §5.7) of a time, in milliseconds, and ten random bytes."""
    milliseconds = int(at.timestamp() * 1000)
    value = milliseconds << 80 | int.from_bytes(entropy[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(uuid.UUID(int=value))


def derived_task_id(*parts: object) -> TaskId:
    """The same id for the same parts, so that a message without one stays one task."""
    return TaskId(str(uuid.uuid5(_NAMESPACE, "/".join(map(str, parts)))))


def unnamed_task_id(
    topic: str, partition: int, offset: int, timestamp: int, value: bytes
) -> TaskId:
    """The id of a task whose message names none: of where it stands, when it came, what it says.

    However often the message is read it is one task. Its place alone would not do: a topic that
    was made anew, or stands on another cluster, counts its offsets from 0 again. `timestamp` is
    the record's own, in milliseconds.
    """
    return derived_task_id(topic, partition, offset, timestamp, sha256(value).hexdigest())


def as_task_id(text: str) -> TaskId | None:
    """The canonical task id in a text, or None where the text is no UUID."""
    if _CANONICAL.fullmatch(text):
        return TaskId(text)
    if len(text) < _SHORTEST:
        return None
    try:
        return TaskId(str(uuid.UUID(text)))
    except ValueError:
        return None


def minted_at(task_id: TaskId) -> datetime | None:
    """When a UUIDv7 was made; None for what carries no time: other versions, and years over 9999.

    Whoever chooses an id may write any 48 bits where the time belongs, up to the year 10889.
    """
    value = uuid.UUID(task_id)
    if value.version != 7:
        return None
    try:
        return datetime.fromtimestamp((value.int >> 80) / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # which of them depends on the system's clock
        return None
