"""How fast something may be done, counted for everybody who does it."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

from app.domain.model.errors import Unavailable

MOST_UNITS = 20_000_000
"""Of one turn: as many tokens as a request and its answer may have."""


class RateLimiterUnavailable(Unavailable):
    """How fast the others are cannot be known now."""

    code = "rate-limiter-unavailable"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units a minute of something that has a name, evenly spread.

    A second's worth may go at once; what is larger than that goes when its turn comes, and those
    behind it wait the longer.
    """

    name: str
    per_minute: int

    @property
    def seconds_each(self) -> float:
        return 60 / self.per_minute

    @property
    def burst_seconds(self) -> float:
        """How much of a wait is waived, so that a second's worth may go at once."""
        return max(0.0, 1 - self.seconds_each)


class RateLimiter(Protocol):
    """Hands out turns in the order in which they are asked for."""

    @abstractmethod
    async def take(self, rate: Rate, units: int, longest_wait: float) -> float:
        """Take a turn for so many units; return the seconds until it comes.

        Where that is more than `longest_wait` no turn is taken, though the seconds are returned.
        Raise `RateLimiterUnavailable`.
        """

    @abstractmethod
    async def correct(self, rate: Rate, units: int) -> None:
        """Add units to a turn that was taken for too few; negative ones where it were too many.

        Never raises for a limiter that is away. What is no number of units, or more than a turn may
        have, is left out.
        """

    @staticmethod
    def possible(units: int) -> bool:
        """Whether a turn can have been wrong by so much."""
        return type(units) is int and abs(units) <= MOST_UNITS
