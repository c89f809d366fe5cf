"""A message nobody could act on, kept whole, with the reason."""

from enum import StrEnum

from pydantic import Field

from app.domain.model.ids import TaskId
from app.domain.model.messages import Timestamp, Value


class DeadLetterReason(StrEnum):
    UNDECODABLE = "undecodable"
    INVALID = "invalid"
    UNKNOWN_AGENT = "unknown-agent"
    RETRIES_EXHAUSTED = "retries-exhausted"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    BUDGET_EXCEEDED = "budget-exceeded"
    POISON = "poison"
    """It ended the process of its worker, time after time."""


class Origin(Value):
    """Where in Kafka a message stood, and exactly what it was."""

    topic: str
    partition: int
    offset: int
    timestamp: Timestamp
    key: bytes | None = Field(default=None, repr=False)
    value: bytes | None = Field(default=None, repr=False)
    headers: tuple[tuple[str, bytes], ...] = Field(default=(), repr=False)


class DeadLetter(Value):
    origin: Origin
    reason: DeadLetterReason
    detail: str
    task_id: TaskId | None
    at: Timestamp
    attempts: int = 0
    """How many runs there were before it was given up."""
