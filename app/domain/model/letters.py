"""What was done about a dead letter, and the letter as people see it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from app.domain.model.dead_letters import DeadLetter
from app.domain.model.ids import LetterId, LetterIdField, TaskIdField
from app.domain.model.messages import Message, Timestamp

Person = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""Who did it, as they say themselves."""


class LetterState(StrEnum):
    WAITING = "waiting"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


class LetterFact(Message):
    """Something that was done about a letter; it travels on the letters' own topic."""

    STATE: ClassVar[LetterState]

    letter_id: LetterIdField
    at: Timestamp
    by: Person
    """Who did it, as they say themselves."""


class LetterRedriven(LetterFact):
    """Its message was sent again."""

    TYPE: ClassVar[str] = "dead-letter.redriven.v1"
    STATE: ClassVar[LetterState] = LetterState.REDRIVEN

    task_id: TaskIdField | None = None
    """The task its message became."""
    redrives: Annotated[int, Field(ge=1)]
    """How often this was done with the message, this time included."""
    edited: bool = False
    """Whether another value was sent than the one that lies here."""


class LetterDiscarded(LetterFact):
    """Somebody decided that nothing is to come of it."""

    TYPE: ClassVar[str] = "dead-letter.discarded.v1"
    STATE: ClassVar[LetterState] = LetterState.DISCARDED

    comment: Annotated[str, StringConstraints(max_length=1_000)] | None = None


Settlement = LetterRedriven | LetterDiscarded


@dataclass(frozen=True, slots=True)
class KnownLetter:
    """A letter, and what was done about it."""

    letter: DeadLetter
    """In lists without the bytes of its message."""
    settled: Settlement | None = None

    @property
    def id(self) -> LetterId:
        return self.letter.id

    @property
    def state(self) -> LetterState:
        return self.settled.STATE if self.settled else LetterState.WAITING
