"""What every Ledger must do; each adapter's test class subclasses this."""

import asyncio

import pytest

from app.domain.model.budgets import Budget, BudgetExceeded, Spend
from app.ports.ledger import Account, Ledger, Reservation

TEN_CALLS = Budget(model_calls=10)


def account(name: str, budget: Budget = TEN_CALLS, owner: str = "the task") -> Account:
    return Account(name, owner, budget, keep_seconds=60)


def call(name: str, *accounts: Account, tokens: int = 0, nano_usd: int | None = 0) -> Reservation:
    return Reservation(name, accounts, Spend(tokens, 1, nano_usd))


class LedgerContract:
    @pytest.fixture
    def ledger(self) -> Ledger:
        raise NotImplementedError("the subclass provides the ledger under test")

    async def test_nothing_is_booked_at_first(self, ledger: Ledger) -> None:
        assert await ledger.spent(["one", "two"]) == [Spend(), Spend()]

    async def test_a_reservation_counts_at_once_on_all_its_accounts(self, ledger: Ledger) -> None:
        both = (account("one"), account("two"))
        await ledger.reserve(call("a", *both, tokens=7, nano_usd=3))
        assert await ledger.spent(["one", "two"]) == [Spend(7, 1, 3)] * 2

    async def test_what_was_spent_takes_the_place_of_the_reservation(self, ledger: Ledger) -> None:
        reserved = call("a", account("one"), tokens=100, nano_usd=50)
        await ledger.reserve(reserved)
        await ledger.settle(reserved, Spend(120, 1, 9_000_000_000_001))
        assert await ledger.spent(["one"]) == [Spend(120, 1, 9_000_000_000_001)]

    @pytest.mark.parametrize(
        ("budget", "first", "next_one"),
        [
            (Budget(tokens=10), Spend(6, 1, 0), Spend(5, 1, 0)),
            (Budget(model_calls=1), Spend(0, 1, 0), Spend(0, 1, 0)),
            (Budget(cost_usd=0.000_001), Spend(0, 1, 600), Spend(0, 1, 401)),
        ],
    )
    async def test_what_would_overspend_is_refused(
        self, ledger: Ledger, budget: Budget, first: Spend, next_one: Spend
    ) -> None:
        where = account("one", budget)
        await ledger.reserve(Reservation("a", (where,), first))
        with pytest.raises(BudgetExceeded, match="the task may"):
            await ledger.reserve(Reservation("b", (where,), next_one))
        assert await ledger.spent(["one"]) == [first]

    async def test_a_budget_can_be_spent_to_the_last_token(self, ledger: Ledger) -> None:
        where = account("one", Budget(tokens=10))
        await ledger.reserve(call("a", where, tokens=6))
        await ledger.reserve(call("b", where, tokens=4))
        assert await ledger.spent(["one"]) == [Spend(10, 2, 0)]

    async def test_what_one_account_cannot_afford_is_booked_on_none(self, ledger: Ledger) -> None:
        rich, poor = account("rich"), account("poor", Budget(tokens=1), "the agent")
        with pytest.raises(BudgetExceeded, match="the agent may spend 1 tokens"):
            await ledger.reserve(call("a", rich, poor, tokens=5))
        assert await ledger.spent(["rich", "poor"]) == [Spend(), Spend()]

    async def test_money_is_not_spent_at_an_unknown_price(self, ledger: Ledger) -> None:
        where = account("one", Budget(cost_usd=1))
        with pytest.raises(BudgetExceeded, match="no known price"):
            await ledger.reserve(call("a", where, nano_usd=None))
        await ledger.reserve(call("b", account("two"), nano_usd=None))
        assert await ledger.spent(["one", "two"]) == [Spend(), Spend(0, 1, 0)]

    async def test_the_same_reservation_is_booked_once(self, ledger: Ledger) -> None:
        reserved = call("a", account("one"), tokens=5)
        await ledger.reserve(reserved)
        await ledger.reserve(reserved)
        assert await ledger.spent(["one"]) == [Spend(5, 1, 0)]

    async def test_a_reservation_is_settled_once(self, ledger: Ledger) -> None:
        reserved = call("a", account("one"), tokens=5)
        await ledger.reserve(reserved)
        for _ in range(2):
            await ledger.settle(reserved, Spend(2, 1, 0))
        assert await ledger.spent(["one"]) == [Spend(2, 1, 0)]

    async def test_what_was_not_reserved_cannot_be_settled(self, ledger: Ledger) -> None:
        await ledger.settle(call("a", account("one"), tokens=5), Spend(2, 1, 0))
        assert await ledger.spent(["one"]) == [Spend()]

    @pytest.mark.parametrize(
        "absurd",
        [
            Spend(-5, 1, 0),
            Spend(5, -1, 0),
            Spend(5, 1, -7),
            Spend(10**30, 1, 0),
            Spend(0, 1, 10**19),
            Spend(float("nan"), 1, 0),  # type: ignore[arg-type]
            Spend(2.5, 1, 0),  # type: ignore[arg-type]
            Spend("7", 1, 0),  # type: ignore[arg-type]
        ],
        ids=repr,
    )
    async def test_what_no_call_can_cost_is_never_booked(
        self, ledger: Ledger, absurd: Spend
    ) -> None:
        reserved = call("a", account("one"), tokens=5, nano_usd=3)
        await ledger.reserve(reserved)
        await ledger.settle(reserved, absurd)
        assert await ledger.spent(["one"]) == [Spend(5, 1, 3)], "as it was estimated"
        await ledger.settle(reserved, Spend(2, 1, 0))
        assert await ledger.spent(["one"]) == [Spend(5, 1, 3)], "it is settled"
        with pytest.raises(BudgetExceeded, match="no model call"):
            await ledger.reserve(Reservation("b", (account("one"),), absurd))
        assert await ledger.spent(["one"]) == [Spend(5, 1, 3)]

    async def test_a_budget_may_be_as_large_as_one_can_be(self, ledger: Ledger) -> None:
        where = account("one", Budget(tokens=10**15, model_calls=10**15, cost_usd=10**9))
        await ledger.reserve(call("a", where, tokens=10**15, nano_usd=10**15))
        with pytest.raises(BudgetExceeded):
            await ledger.reserve(call("b", where, tokens=1))

    async def test_calls_made_at_once_do_not_overspend_together(self, ledger: Ledger) -> None:
        where = account("one", Budget(tokens=100))
        outcomes = await asyncio.gather(
            *(ledger.reserve(call(f"{number}", where, tokens=9)) for number in range(50)),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, BudgetExceeded)]
        assert len(refused) == 50 - 11
        assert await ledger.spent(["one"]) == [Spend(99, 11, 0)]
