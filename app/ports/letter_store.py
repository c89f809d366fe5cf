"""The read model of the dead letters: what lies there, and what was done about it."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.ids import AgentName, LetterId
from app.domain.model.letters import KnownLetter, LetterState


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters to list; an empty filter lists all."""

    agent: AgentName | None = None
    reason: DeadLetterReason | None = None
    state: LetterState | None = None
    since: datetime | None = None
    """Set aside at this moment or later."""
    until: datetime | None = None
    """Set aside before this moment."""


@dataclass(frozen=True, slots=True)
class LetterPage:
    """One page of letters, without their bytes, and the cursor of the next (None on the last)."""

    items: Sequence[KnownLetter]
    next_cursor: str | None


class LetterStore(Protocol):
    """Answers questions about dead letters; one of which only facts are known is not shown."""

    @abstractmethod
    async def find(self, letter_id: LetterId) -> KnownLetter | None:
        """The letter with its bytes, or None where nothing has been heard of it."""

    @abstractmethod
    async def list(
        self, wanted: LetterFilter, limit: int, cursor: str | None, *, oldest_first: bool = False
    ) -> LetterPage:
        """A page of letters by when they were set aside, newest first unless told otherwise.

        Raise `InvalidInput` for a broken cursor; one belongs to the direction it was given for.
        """

    @abstractmethod
    async def waiting(self) -> Mapping[DeadLetterReason, int]:
        """How many wait for somebody, by reason; a reason nobody waits with is left out."""
