"""A message nobody could act on, kept whole, with the reason."""

from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.model.ids import AgentName, LetterId, TaskId, derived_task_id
from app.domain.model.messages import Timestamp, Told, Value, rfc3339


class DeadLetterReason(StrEnum):
    UNDECODABLE = "undecodable"
    INVALID = "invalid"
    UNKNOWN_AGENT = "unknown-agent"
    RETRIES_EXHAUSTED = "retries-exhausted"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    BUDGET_EXCEEDED = "budget-exceeded"
    POISON = "poison"
    """It ended its worker's process, or broke what its worker does with it, time after time."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in Kafka a message stood, and exactly what it was."""

    topic: str
    partition: int
    offset: int
    timestamp: Timestamp
    key: bytes | None = field(default=None, repr=False)
    value: bytes | None = field(default=None, repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


class DeadLetter(Value):
    origin: Origin
    reason: DeadLetterReason
    detail: Told
    task_id: TaskId | None
    at: Timestamp
    agent: AgentName | None = None
    """Whose message it was, where that can be told."""
    attempts: int = 0
    """How many runs there were before it was given up."""
    redrives: int = 0
    """How often the message had been sent again before."""

    @property
    def id(self) -> LetterId:
        """Made of the message's place in the log, so that a repeat is the same letter.

        The time is part of the place: a topic that was made anew counts its offsets from 0 again.
        """
        place = (self.origin.topic, self.origin.partition, self.origin.offset)
        return LetterId(derived_task_id("dead-letter", *place, rfc3339(self.origin.timestamp)))
