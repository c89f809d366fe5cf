"""Ask models within budgets: book what a call may cost before it is made, and its cost after."""

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.model.budgets import NANO, AgentBudget, Budget, BudgetExceeded, Spend
from app.domain.model.commands import SubmitTask
from app.domain.model.prices import Prices
from app.ports.chat_model import (
    ChatAnswer,
    ChatModels,
    ChatRequest,
    Model,
    ModelFailed,
    OnText,
)
from app.ports.clock import Clock
from app.ports.ledger import Account, Ledger, Reservation

_DAY = 24 * 60 * 60
_TASK_IS_KEPT = 8 * _DAY
"""Longer than the longest wait for another run."""
_DAY_IS_KEPT = 2 * _DAY
"""Until the last call that began on that day has ended anywhere."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What a worker keeps budgets with."""

    ledger: Ledger
    prices: Prices
    clock: Clock
    answer_tokens: int = 1_000
    """What an answer is taken to have before it is there."""

    def cost_usd(
        self, model: Model, input_tokens: int, output_tokens: int, cached_tokens: int = 0
    ) -> float | None:
        """What a call cost; None where the model's price is not known."""
        nano = self.prices.nano_usd(model, input_tokens, output_tokens, cached_tokens)
        return None if nano is None else nano / NANO

    def within_budget(
        self,
        command: SubmitTask,
        agents: AgentBudget,
        models: ChatModels,
        refused: Callable[[], None] = lambda: None,
    ) -> ChatModels:
        """The models for one task, which refuse the call that would overspend, and tell of it."""
        if not self.accounts(command, agents):
            return models
        return BudgetedModels(models, self, lambda: self.accounts(command, agents), refused)

    async def book_own_call(
        self, command: SubmitTask, agents: AgentBudget, model: Model
    ) -> Reservation | None:
        """Book a call that an agent makes by itself; None where nothing limits it.

        What it asks is not known, so it is expected to take an answer's tokens. Raise
        `BudgetExceeded` or `LedgerUnavailable`.
        """
        accounts = self.accounts(command, agents)
        if not accounts:
            return None
        tokens = self.answer_tokens
        expected = Spend(tokens, 1, self.prices.nano_usd(model, 0, tokens))
        reservation = Reservation(self.clock.entropy().hex(), accounts, expected)
        await self.ledger.reserve(reservation)
        return reservation

    async def settle_own_call(
        self, reservation: Reservation, model: Model, counts: tuple[int, int, int] | None
    ) -> None:
        """Book what it took: input, output and cached tokens; None leaves what was expected."""
        if counts is None:
            await self.ledger.settle(reservation, reservation.spend)
            return
        asked, answered, cached = counts
        nano = self.prices.nano_usd(model, asked, answered, cached)
        await self.ledger.settle(reservation, Spend(asked + answered, 1, nano))

    def estimate(self, model: Model, request: ChatRequest) -> Spend:
        """What a call may cost."""
        asked = request.about_input_tokens
        answered = request.about_answer_tokens(self.answer_tokens)
        return Spend(asked + answered, 1, self.prices.nano_usd(model, asked, answered))

    def cost(self, model: Model, answer: ChatAnswer, estimated: Spend) -> Spend:
        """What a call did cost: no less than was estimated, where nobody has counted it."""
        tokens = (answer.input_tokens, answer.output_tokens)
        nano = self.prices.nano_usd(model, *tokens, answer.cached_tokens)
        cost = Spend(sum(tokens), 1, nano)
        return cost if answer.counted else cost.at_least(estimated)

    def accounts(self, command: SubmitTask, agents: AgentBudget) -> tuple[Account, ...]:
        """Those that pay for a call that is made now.

        A redriven task has its budget anew, as somebody wanted it done after all.
        """
        task = (command.budget or Budget()).and_also(agents.task)
        day = agents.day or Budget()
        today = self.clock.now().date().isoformat()
        name = f"task:{command.id}:{command.earlier.redrives}"
        agent = command.agent
        accounts = (
            Account(name, "the task", task, _TASK_IS_KEPT),
            Account(f"agent:{agent}:{today}", f"{agent} on {today}", day, _DAY_IS_KEPT),
        )
        return tuple(account for account in accounts if account.budget.limits_something)


@dataclass(frozen=True, slots=True)
class BudgetedModels(ChatModels):
    """One task's way to the models; its calls may overlap."""

    models: ChatModels
    spending: Spending
    accounts: Callable[[], tuple[Account, ...]]
    """Those that pay for a call that is made now."""
    refused: Callable[[], None]

    async def ask(
        self, model: Model, request: ChatRequest, on_text: OnText | None = None
    ) -> ChatAnswer:
        """Raise `BudgetExceeded` or `LedgerUnavailable` before anybody is asked."""
        reservation = Reservation(
            self.spending.clock.entropy().hex(),
            self.accounts(),
            self.spending.estimate(model, request),
        )
        try:
            await self.spending.ledger.reserve(reservation)
        except BudgetExceeded:
            self.refused()
            raise
        heard = _Heard(on_text)
        try:
            answer = await self.models.ask(model, request, heard.take if on_text else None)
        except ModelFailed as failure:
            if not failure.asked:
                self.refused()
                await self.spending.ledger.settle(reservation, Spend())
            elif failure.answer is not None:
                await self._settle(reservation, model, failure.answer.checked(request))
            elif not heard.something and not failure.answered:
                await self.spending.ledger.settle(reservation, Spend(model_calls=1))
            raise  # what was answered in part, or cut off, stays booked as estimated
        answer = answer.checked(request)
        await self._settle(reservation, model, answer)
        return answer

    async def _settle(self, reservation: Reservation, model: Model, answer: ChatAnswer) -> None:
        cost = self.spending.cost(model, answer, reservation.spend)
        await self.spending.ledger.settle(reservation, cost)

    def input_limit(self, model: Model) -> int | None:
        return self.models.input_limit(model)

    def missing_keys(self, model: Model) -> tuple[str, ...]:
        return self.models.missing_keys(model)

    def key_faults(self, model: Model) -> tuple[str, ...]:
        return self.models.key_faults(model)


class _Heard:
    """Passes the text on and remembers that there was some."""

    def __init__(self, on_text: OnText | None) -> None:
        self._on_text = on_text
        self.something = False

    def take(self, text: str) -> None:
        self.something = True
        if self._on_text is not None:
            self._on_text(text)
