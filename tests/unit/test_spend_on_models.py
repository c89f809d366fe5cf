"""Asking within budgets: what a call is booked at, before and after, and who pays for it."""

import asyncio
from datetime import date

import pytest

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.ledger import MemoryLedger
from app.domain.model.budgets import AgentBudget, Budget, BudgetExceeded, Spend, StrictBudget
from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.prices import Price, Prices
from app.domain.use_cases.spend_on_models import Spending
from app.ports.chat_model import (
    AnswerCut,
    ChatAnswer,
    ChatModels,
    ChatRequest,
    EmptyAnswer,
    ModelFailed,
    ModelRateLimited,
    ModelUnavailable,
    ModelUnreachable,
    UnreadableAnswer,
)
from app.ports.ledger import LedgerUnavailable, Reservation
from tests.builders import ANALYST, submitted, task_id
from tests.scripted_models import ANSWER, QUESTION, ScriptedModels
from tests.waiting import until

MINI = "openai:mini"
PRICES = Prices.of([Price(model=MINI, input=1, output=2, cached=0.5, taken=date(2026, 1, 1))])
ASKED = QUESTION.about_input_tokens
TASK = f"task:{task_id()}:0"
TODAY = f"agent:{ANALYST}:2026-01-01"


def agents(task: StrictBudget | None = None, day: StrictBudget | None = None) -> AgentBudget:
    return AgentBudget(task=task, day=day)


def command(budget: Budget | None = None, name: str = "t-1") -> SubmitTask:
    return submitted(name).model_copy(update={"budget": budget})


class Desk:
    """Scripted models, a ledger and a clock."""

    def __init__(self) -> None:
        self.clock = MemoryClock()
        self.ledger = MemoryLedger(self.clock)
        self.models = ScriptedModels()
        self.spending = Spending(self.ledger, PRICES, self.clock, answer_tokens=100)

    def within(self, task: SubmitTask, agent: AgentBudget | None = None) -> ChatModels:
        return self.spending.within_budget(task, agent or agents(), self.models)

    async def spent(self, name: str = TASK) -> Spend:
        [spent] = await self.ledger.spent([name])
        return spent


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_without_a_budget_nothing_stands_before_the_models(desk: Desk) -> None:
    assert desk.within(command()) is desk.models
    assert desk.within(command(Budget()), agents(StrictBudget())) is desk.models


async def test_a_call_is_booked_as_estimated_and_then_as_it_was(desk: Desk) -> None:
    models = desk.within(command(Budget(tokens=1_000)))
    desk.models.gate = asyncio.Event()
    asking = asyncio.create_task(models.ask(MINI, QUESTION))
    await until(lambda: desk.models.in_flight == 1)
    estimated = (ASKED * 1 + 100 * 2) * 1_000
    assert await desk.spent() == Spend(ASKED + 100, 1, estimated)
    desk.models.gate.set()
    assert await asking == ANSWER
    assert await desk.spent() == Spend(18, 1, (11 * 1 + 7 * 2) * 1_000)


async def test_cached_input_is_booked_at_its_own_price(desk: Desk) -> None:
    desk.models.script = [ChatAnswer("x", input_tokens=10, output_tokens=0, cached_tokens=4)]
    await desk.within(command(Budget(tokens=1_000))).ask(MINI, QUESTION)
    assert await desk.spent() == Spend(10, 1, 6 * 1_000 + 4 * 500)


@pytest.mark.parametrize(
    "answer",
    [
        ChatAnswer("x" * 4),
        ChatAnswer("x" * 4, input_tokens=-900, output_tokens=-900),
        ChatAnswer("x" * 4, input_tokens=10**12, output_tokens=1),
        ChatAnswer("x" * 4, input_tokens=5, output_tokens=1, cached_tokens=6),
        ChatAnswer("x" * 4, input_tokens=5, output_tokens=1, counted=False),
        ChatAnswer("x" * 4, input_tokens=float("nan"), output_tokens=1),  # type: ignore[arg-type]
    ],
    ids=repr,
)
async def test_what_nobody_counted_stays_booked_as_estimated(
    desk: Desk, answer: ChatAnswer
) -> None:
    desk.models.script = [answer]
    told = await desk.within(command(Budget(tokens=1_000))).ask(MINI, QUESTION)
    assert not told.counted
    assert await desk.spent() == Spend(ASKED + 100, 1, (ASKED * 1 + 100 * 2) * 1_000)


async def test_an_uncounted_answer_that_is_longer_than_estimated_is_booked_by_its_length(
    desk: Desk,
) -> None:
    desk.models.script = [ChatAnswer("x" * 4_000)]
    await desk.within(command(Budget(tokens=10_000))).ask(MINI, QUESTION)
    assert (await desk.spent()).tokens == ASKED + 1_000


async def test_a_spoilt_answer_is_booked_as_the_provider_counted_it(desk: Desk) -> None:
    desk.models.script = [AnswerCut("cut", ChatAnswer("x", input_tokens=11, output_tokens=900))]
    with pytest.raises(AnswerCut):
        await desk.within(command(Budget(tokens=1_000))).ask(MINI, QUESTION)
    assert (await desk.spent()).tokens == 911


async def test_a_failure_in_an_answer_without_text_stays_booked_as_estimated(desk: Desk) -> None:
    desk.models.script = [ModelUnavailable("broke off in a tool call", answered=True)]
    with pytest.raises(ModelUnavailable):
        await desk.within(command(Budget(tokens=1_000))).ask(MINI, QUESTION, print)
    assert (await desk.spent()).tokens == ASKED + 100


async def test_the_call_that_would_overspend_is_not_made(desk: Desk) -> None:
    models = desk.within(command(Budget(tokens=ASKED + 100 + 17)))
    await models.ask(MINI, QUESTION)
    with pytest.raises(BudgetExceeded, match=rf"may take {ASKED + 100}"):
        await models.ask(MINI, QUESTION)
    assert len(desk.models.asked) == 1


async def test_calls_at_once_do_not_overspend_together(desk: Desk) -> None:
    models = desk.within(command(Budget(model_calls=3)))
    outcomes = await asyncio.gather(
        *(models.ask(MINI, QUESTION) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(each, BudgetExceeded) for each in outcomes) == 7
    assert len(desk.models.asked) == 3


async def test_a_budget_in_money_stops_a_model_without_a_price_before_its_first_call(
    desk: Desk,
) -> None:
    models = desk.within(command(Budget(cost_usd=100)))
    await models.ask(MINI, QUESTION)
    with pytest.raises(BudgetExceeded, match="no known price"):
        await models.ask("openai:unheard-of", QUESTION)
    assert len(desk.models.asked) == 1


async def test_of_the_task_s_budget_and_the_agent_s_the_tighter_counts(desk: Desk) -> None:
    models = desk.within(command(Budget(model_calls=5)), agents(StrictBudget(model_calls=2)))
    for _ in range(2):
        await models.ask(MINI, QUESTION)
    with pytest.raises(BudgetExceeded, match="the task may make 2 model calls"):
        await models.ask(MINI, QUESTION)


async def test_all_tasks_of_an_agent_share_its_day_and_the_next_day_is_new(desk: Desk) -> None:
    agent = agents(day=StrictBudget(model_calls=2))
    for name in ("t-1", "t-2"):
        await desk.within(command(name=name), agent).ask(MINI, QUESTION)
    third = desk.within(command(name="t-3"), agent)
    with pytest.raises(BudgetExceeded, match="business-analyst on 2026-01-01 may make 2"):
        await third.ask(MINI, QUESTION)
    assert (await desk.spent(TODAY)).model_calls == 2
    desk.clock.advance(24 * 3_600)
    await third.ask(MINI, QUESTION)


async def test_a_call_is_settled_on_the_day_on_which_it_began(desk: Desk) -> None:
    models = desk.within(command(), agents(day=StrictBudget(tokens=1_000)))
    desk.models.gate = asyncio.Event()
    asking = asyncio.create_task(models.ask(MINI, QUESTION))
    await until(lambda: desk.models.in_flight == 1)
    desk.clock.advance(24 * 3_600)
    desk.models.gate.set()
    await asking
    assert (await desk.spent(TODAY)).tokens == 18


async def test_every_run_of_a_task_spends_from_its_one_budget(desk: Desk) -> None:
    first = command(Budget(model_calls=2))
    again = first.model_copy(update={"earlier": Earlier(attempts=1, failures=1)})
    for task in (first, again):
        await desk.within(task).ask(MINI, QUESTION)
    with pytest.raises(BudgetExceeded):
        await desk.within(again).ask(MINI, QUESTION)


async def test_a_task_that_is_redriven_has_its_budget_anew(desk: Desk) -> None:
    first = command(Budget(model_calls=1))
    await desk.within(first).ask(MINI, QUESTION)
    redriven = first.model_copy(update={"earlier": Earlier(attempts=1, redrives=1)})
    await desk.within(redriven).ask(MINI, QUESTION)


@pytest.mark.parametrize(
    "failure", [ModelRateLimited("429", status=429), ModelUnreachable("away")], ids=str
)
async def test_a_call_that_was_not_answered_costs_no_tokens(
    desk: Desk, failure: ModelFailed
) -> None:
    desk.models.script = [failure]
    with pytest.raises(type(failure)):
        await desk.within(command(Budget(tokens=1_000))).ask(MINI, QUESTION, print)
    assert await desk.spent() == Spend(0, 1, 0)


@pytest.mark.parametrize(
    "failure",
    [ModelRateLimited("our limit", asked=False), ModelUnreachable("our breaker", asked=False)],
    ids=str,
)
async def test_a_call_that_we_kept_back_costs_nothing(desk: Desk, failure: ModelFailed) -> None:
    desk.models.script = [failure, *desk.models.script]
    with pytest.raises(type(failure)):
        await desk.within(command(Budget(model_calls=1))).ask(MINI, QUESTION)
    assert await desk.spent() == Spend()
    await desk.within(command(Budget(model_calls=1))).ask(MINI, QUESTION)


@pytest.mark.parametrize("failure", [EmptyAnswer("empty"), UnreadableAnswer("prose")], ids=str)
async def test_an_answer_nobody_can_use_stays_booked_as_estimated(
    desk: Desk, failure: ModelFailed
) -> None:
    desk.models.script = [failure]
    with pytest.raises(type(failure)):
        await desk.within(command(Budget(tokens=1_000))).ask(MINI, QUESTION)
    assert (await desk.spent()).tokens == ASKED + 100


async def test_an_answer_that_broke_off_stays_booked_as_estimated(desk: Desk) -> None:
    desk.models.script = [ModelUnreachable("broken off")]
    desk.models.says = ("Once upon",)
    heard: list[str] = []
    with pytest.raises(ModelUnreachable):
        await desk.within(command(Budget(tokens=1_000))).ask(MINI, QUESTION, heard.append)
    assert heard == ["Once upon"]
    assert (await desk.spent()).tokens == ASKED + 100


async def test_a_call_that_was_canceled_stays_booked_as_estimated(desk: Desk) -> None:
    desk.models.gate = asyncio.Event()
    models = desk.within(command(Budget(tokens=1_000)))
    asking = asyncio.create_task(models.ask(MINI, QUESTION))
    await until(lambda: desk.models.in_flight == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await desk.spent()).tokens == ASKED + 100


async def test_without_the_ledger_nobody_is_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: Reservation) -> None:
        raise LedgerUnavailable("Redis is away")

    monkeypatch.setattr(desk.ledger, "reserve", away)
    with pytest.raises(LedgerUnavailable):
        await desk.within(command(Budget(tokens=1_000))).ask(MINI, QUESTION)
    assert not desk.models.asked


async def test_what_else_is_asked_of_the_models_passes_through(desk: Desk) -> None:
    models = desk.within(command(Budget(tokens=1)))
    assert models.input_limit(MINI) == 1_000
    assert models.missing_keys(MINI) == ("SOME_KEY",)


def test_the_cost_of_a_call_is_in_dollars(desk: Desk) -> None:
    assert desk.spending.cost_usd(MINI, 1_000, 500) == 0.002
    assert desk.spending.cost_usd("openai:unheard-of", 1_000, 500) is None


def test_a_request_with_a_cap_is_estimated_by_it(desk: Desk) -> None:
    capped = ChatRequest(QUESTION.messages, max_tokens=7)
    assert desk.spending.estimate(MINI, capped).tokens == ASKED + 7
