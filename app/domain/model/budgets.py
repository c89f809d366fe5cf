"""What a run may still spend, decided before each model call."""

from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field

from app.domain.model.errors import Rejected
from app.domain.model.messages import Value
from app.domain.model.numbers import A_NUMBER

NANO = 1_000_000_000
"""Money is counted in billionths of a dollar, whole ones, so that sums are exact everywhere."""
MOST_OF_A_CALL = 10**15
"""Tokens, or billionths of a dollar, that a call may cost; every ledger counts so far exactly."""

_Number = TypeVar("_Number", int, float)


class Budget(Value):
    """The most that may be spent; what is not named is not limited.

    A task that names a limit we do not know is refused: it was meant, and would not be kept.
    """

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    tokens: Annotated[int, Field(gt=0, le=10**15), A_NUMBER] | None = None
    """Of requests and answers together."""
    model_calls: Annotated[int, Field(gt=0, le=10**15), A_NUMBER] | None = None
    cost_usd: Annotated[float, Field(gt=0, le=1_000_000_000), A_NUMBER] | None = None
    """US dollars; a model without a known price is not asked then."""

    @property
    def nano_usd(self) -> int | None:
        return None if self.cost_usd is None else round(self.cost_usd * NANO)

    @property
    def limits_something(self) -> bool:
        return (self.tokens, self.model_calls, self.cost_usd) != (None, None, None)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What it names that is no limit of ours."""
        return tuple(self.model_extra or ())

    def and_also(self, other: "Budget | None") -> "Budget":
        """The budget that keeps both: of each limit the tighter one."""
        return (
            self
            if other is None
            else Budget(
                tokens=_tighter(self.tokens, other.tokens),
                model_calls=_tighter(self.model_calls, other.model_calls),
                cost_usd=_tighter(self.cost_usd, other.cost_usd),
            )
        )


class StrictBudget(Budget):
    """A budget as people write it: a misspelt limit would be one that stops nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AgentBudget(Value):
    """What an agent may spend on each task, and on all tasks of a day (in UTC)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: StrictBudget | None = None
    day: StrictBudget | None = None


UNLIMITED = AgentBudget()


@dataclass(frozen=True, slots=True)
class Spend:
    """What was spent, or may be. Without a price the money is not known, which is not nothing."""

    tokens: int = 0
    model_calls: int = 0
    nano_usd: int | None = 0

    @property
    def possible(self) -> bool:
        """Whether one call can cost this. A ledger books nothing else: it would undo a budget."""
        amounts = (self.tokens, self.model_calls, 0 if self.nano_usd is None else self.nano_usd)
        return all(type(each) is int and 0 <= each <= MOST_OF_A_CALL for each in amounts)

    def at_least(self, other: "Spend") -> "Spend":
        """This, or the other where that is more; each of the amounts by itself."""
        return Spend(
            max(self.tokens, other.tokens),
            max(self.model_calls, other.model_calls),
            max(
                (each for each in (self.nano_usd, other.nano_usd) if each is not None), default=None
            ),
        )

    def __add__(self, other: "Spend") -> "Spend":
        """What is not known counts as nothing beside what is."""
        return Spend(
            self.tokens + other.tokens,
            self.model_calls + other.model_calls,
            (self.nano_usd or 0) + (other.nano_usd or 0),
        )

    def __sub__(self, other: "Spend") -> "Spend":
        """What turns the other into this one."""
        return Spend(
            self.tokens - other.tokens,
            self.model_calls - other.model_calls,
            (self.nano_usd or 0) - (other.nano_usd or 0),
        )


class BudgetExceeded(Rejected):
    """The next model call would spend more than is allowed, so it is not made."""

    code = "budget-exceeded"


def require_possible(call: Spend) -> None:
    """Return where a call may be booked at this before it is made, else raise `BudgetExceeded`."""
    if not call.possible:
        raise BudgetExceeded(f"no model call can cost what this one may: {call}")


def refusal(whose: str, budget: Budget, spent: Spend, call: Spend) -> str | None:
    """Why this call may not be made, in words that begin with `whose`; None where it may.

    `spent` has in it what calls that are under way may still cost.
    """
    if budget.nano_usd is not None:
        if call.nano_usd is None:
            return (
                f"{whose} has a budget in money, and the model has no known price; "
                "add one to the file that CREWLINE_LIMITS__PRICES names, or limit tokens instead"
            )
        if (spent.nano_usd or 0) + call.nano_usd > budget.nano_usd:
            return (
                f"{whose} may spend {_dollars(budget.nano_usd)} and has spent "
                f"{_dollars(spent.nano_usd or 0)}; "
                f"the next model call may cost {_dollars(call.nano_usd)}"
            )
    if budget.tokens is not None and spent.tokens + call.tokens > budget.tokens:
        return (
            f"{whose} may spend {budget.tokens:,} tokens and has spent {spent.tokens:,}; "
            f"the next model call may take {call.tokens:,}"
        )
    if budget.model_calls is not None and spent.model_calls + call.model_calls > budget.model_calls:
        return (
            f"{whose} may make {budget.model_calls:,} model calls and has made "
            f"{spent.model_calls:,}"
        )
    return None


def no_limit(name: str) -> str:
    """Why a budget that names this is refused."""
    return f"{name!r} is no limit; there are: {', '.join(Budget.model_fields)}"


def _tighter(one: _Number | None, other: _Number | None) -> _Number | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _dollars(nano: int) -> str:
    """An amount with as many digits as it needs, and two at least."""
    whole, _, rest = f"{nano / NANO:.9f}".partition(".")
    return f"${int(whole):,}.{rest.rstrip('0').ljust(2, '0')}"
