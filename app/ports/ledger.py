"""What has been spent on models, counted for everybody who spends from the same budget."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.domain.model.budgets import Budget, Spend
from app.domain.model.errors import Unavailable


class LedgerUnavailable(Unavailable):
    """What has been spent cannot be known now, so nothing more may be spent."""

    code = "ledger-unavailable"


@dataclass(frozen=True, slots=True)
class Account:
    """Something that has a budget: one task, or one agent for one day."""

    name: str
    owner: str
    """What to call it in a message, as in "the task"."""
    budget: Budget
    keep_seconds: int
    """How long it is remembered after the last booking."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one model call may cost, booked on its accounts before it is made."""

    id: str
    accounts: tuple[Account, ...]
    spend: Spend


class Ledger(Protocol):
    """Shared by all who spend: calls made at once cannot spend the same money twice.

    A reservation that is never settled, as its worker died, stays booked as what it might cost.
    """

    @abstractmethod
    async def reserve(self, reservation: Reservation) -> None:
        """Book it on all its accounts; the same id again books nothing more.

        Raise `BudgetExceeded` where one of them cannot afford it, or no call can cost that, or
        `LedgerUnavailable`; then it is booked on none.
        """

    @abstractmethod
    async def settle(self, reservation: Reservation, spent: Spend) -> None:
        """Book what the call did cost instead, once.

        Never raises for a ledger that is away, or for what no call can cost, such as less than
        nothing: the reservation then stays booked as it is.
        """

    @abstractmethod
    async def spent(self, names: Sequence[str]) -> list[Spend]:
        """What is booked on each of these accounts; raise `LedgerUnavailable`."""
