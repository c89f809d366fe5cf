"""What a run may still spend, whatever it asks for and in whatever order its calls end."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as BundleOf
from hypothesis.stateful import RuleBasedStateMachine, consumes, invariant, rule
from pydantic import ValidationError

from app.domain.model.budgets import NANO, AgentBudget, Budget, Spend, StrictBudget, refusal

amounts = st.integers(min_value=1, max_value=1_000)
limits = st.none() | amounts
budgets = st.builds(
    lambda tokens, calls, nano: Budget(
        tokens=tokens, model_calls=calls, cost_usd=None if nano is None else nano / NANO
    ),
    limits,
    limits,
    limits,
)
spends = st.builds(Spend, amounts, st.just(1), amounts)


def allows(budget: Budget, spent: Spend, call: Spend) -> bool:
    return refusal("the task", budget, spent, call) is None


@given(budgets, spends, spends, spends)
def test_what_is_refused_stays_refused_when_more_is_spent(
    budget: Budget, spent: Spend, more: Spend, call: Spend
) -> None:
    if not allows(budget, spent, call):
        assert not allows(budget, spent + more, call)


@given(budgets, spends, spends, spends)
def test_what_is_allowed_is_allowed_for_a_smaller_call(
    budget: Budget, spent: Spend, call: Spend, more: Spend
) -> None:
    if allows(budget, spent, call + more):
        assert allows(budget, spent, call)


@given(budgets, budgets, spends, spends)
def test_two_budgets_together_allow_what_both_allow(
    one: Budget, other: Budget, spent: Spend, call: Spend
) -> None:
    both = allows(one, spent, call) and allows(other, spent, call)
    assert allows(one.and_also(other), spent, call) == both


@given(spends, spends)
def test_without_limits_everything_is_allowed(spent: Spend, call: Spend) -> None:
    assert allows(Budget(), spent, call)
    assert not Budget().limits_something


@dataclass(frozen=True)
class Call:
    estimate: Spend
    truth: Spend


class SpendingInParallel(RuleBasedStateMachine):
    """A run whose calls overlap: each is reserved before it is made and settled when it ends."""

    calls = BundleOf("calls")
    budget = Budget(tokens=3_000, model_calls=12, cost_usd=3_000 / NANO)

    def __init__(self) -> None:
        super().__init__()
        self.booked = Spend()
        self.really = Spend()
        self.surprise = Spend()
        """By how much the calls made so far were dearer than their estimates."""

    @rule(target=calls, estimate=spends, truth=spends)
    def ask(self, estimate: Spend, truth: Spend) -> object:
        if not allows(self.budget, self.booked, estimate):
            return None
        self.booked += estimate
        self.really += truth
        self.surprise += Spend(
            max(0, truth.tokens - estimate.tokens),
            0,
            max(0, (truth.nano_usd or 0) - (estimate.nano_usd or 0)),
        )
        return Call(estimate, truth)

    @rule(call=consumes(calls))
    def answer(self, call: Call | None) -> None:
        if call is not None:
            self.booked += call.truth - call.estimate

    @invariant()
    def overspends_by_wrong_estimates_only(self) -> None:
        assert self.really.model_calls <= 12
        assert self.really.tokens <= 3_000 + self.surprise.tokens
        assert (self.really.nano_usd or 0) <= 3_000 + (self.surprise.nano_usd or 0)

    @invariant()
    def nothing_booked_is_negative(self) -> None:
        assert min(self.booked.tokens, self.booked.model_calls, self.booked.nano_usd or 0) >= 0


TestSpendingInParallel = SpendingInParallel.TestCase


@pytest.mark.parametrize(
    ("budget", "spent", "call", "words"),
    [
        (
            Budget(tokens=1_000),
            Spend(0, 0, 0),
            Spend(1_200, 1, 0),
            "the task may spend 1,000 tokens and has spent 0; the next model call may take 1,200",
        ),
        (
            Budget(model_calls=2),
            Spend(9, 2, 9),
            Spend(1, 1, 1),
            "the task may make 2 model calls and has made 2",
        ),
        (
            Budget(cost_usd=0.5),
            Spend(0, 3, 499_000_000),
            Spend(1, 1, 1_000_001),
            "the task may spend $0.50 and has spent $0.499; "
            "the next model call may cost $0.001000001",
        ),
    ],
)
def test_a_refusal_says_what_is_left_and_what_was_wanted(
    budget: Budget, spent: Spend, call: Spend, words: str
) -> None:
    assert refusal("the task", budget, spent, call) == words


def test_a_budget_in_money_refuses_a_model_without_a_price() -> None:
    words = refusal("the task", Budget(cost_usd=1), Spend(), Spend(1, 1, None))
    assert words is not None
    assert "no known price" in words
    assert "CREWLINE_LIMITS__PRICES" in words
    assert allows(Budget(tokens=1), Spend(), Spend(1, 1, None))


@pytest.mark.parametrize("field", ["tokens", "model_calls", "cost_usd"])
def test_a_limit_is_positive(field: str) -> None:
    for wrong in (0, -1):
        with pytest.raises(ValidationError):
            Budget.model_validate({field: wrong})


def test_what_people_write_must_be_spelt_right() -> None:
    with pytest.raises(ValidationError):
        StrictBudget.model_validate({"token": 5})
    with pytest.raises(ValidationError):
        AgentBudget.model_validate({"week": {"tokens": 5}})
    assert AgentBudget.model_validate({"day": {"tokens": 5}}).day == StrictBudget(tokens=5)
