"""What a run says it spent, and that no way round its budget is left."""

from datetime import date
from typing import Any

import pytest

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.ledger import MemoryLedger
from app.adapters.memory.tracing import RecordingTracing
from app.domain.model.budgets import AgentBudget, Budget, BudgetExceeded, Spend, StrictBudget
from app.domain.model.dead_letters import Origin
from app.domain.model.events import TraceModelCall
from app.domain.model.prices import Price, Prices
from app.domain.use_cases.run_context import Run
from app.domain.use_cases.spend_on_models import Spending
from tests.builders import WORKER, at, submitted
from tests.scripted_models import QUESTION, ScriptedModels

MINI = "openai:mini"
PRICES = Prices.of([Price(model=MINI, input=1, output=2, cached=0.5, taken=date(2026, 1, 1))])


class AtWork:
    """A run with everything in memory."""

    def __init__(self, budget: Budget | None = None, *, keeps_budgets: bool = True) -> None:
        clock, self.log = MemoryClock(), MemoryEventLog()
        self.ledger = MemoryLedger(clock)
        origin = Origin(topic="t", partition=0, offset=7, timestamp=at(0), key=b"k", value=b"v")
        with RecordingTracing().processing(origin, None, None, 1) as tracer:
            self.run = Run(
                submitted().model_copy(update={"budget": budget}),
                1,
                worker_id=WORKER,
                log=self.log,
                clock=clock,
                tracer=tracer,
                spending=Spending(self.ledger, PRICES, clock) if keeps_budgets else None,
            )

    async def call(
        self,
        model: str = MINI,
        *,
        error: str | None = None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
    ) -> None:
        provider, _, name = model.partition(":")
        activity = await self.run.begin("model", name, provider=provider)
        await self.run.end(
            activity,
            error=error,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
        )

    async def booked(self) -> Spend:
        [spent] = await self.ledger.spent([f"task:{self.run.task_id}:0"])
        return spent

    @property
    def calls(self) -> list[TraceModelCall]:
        records = (each for shard in self.log.ends() for each in self.log.records(shard))
        return [each.message for each in records if isinstance(each.message, TraceModelCall)]


async def test_each_call_has_its_cost_and_the_run_their_sum() -> None:
    at_work = AtWork()
    await at_work.call(input_tokens=1_000, output_tokens=100, cached_tokens=400)
    await at_work.call(input_tokens=100, output_tokens=10)
    assert [call.cost_usd for call in at_work.calls] == [0.001, 0.00012]
    assert [call.cached_tokens for call in at_work.calls] == [400, 0]
    assert at_work.run.usage.cost_usd == 0.00112
    assert at_work.run.usage.model_calls == 2


async def test_a_call_at_an_unknown_price_costs_null_and_leaves_the_sum_of_the_others() -> None:
    at_work = AtWork()
    await at_work.call("openai:unheard-of", input_tokens=1_000)
    assert at_work.run.usage.cost_usd is None
    await at_work.call(input_tokens=1_000)
    await at_work.call("openai:unheard-of", input_tokens=1_000)
    assert [call.cost_usd for call in at_work.calls] == [None, 0.001, None]
    assert at_work.run.usage.cost_usd == 0.001


async def test_a_call_that_was_refused_is_told_and_not_counted() -> None:
    at_work, models = AtWork(Budget(model_calls=1)), ScriptedModels()
    within = at_work.run.within_budget(models)
    await within.ask(MINI, QUESTION)
    await at_work.call(input_tokens=11, output_tokens=7)
    with pytest.raises(BudgetExceeded):
        await within.ask(MINI, QUESTION)
    await at_work.call(error="the task may make 1 model calls and has made 1")
    await at_work.call(error="a failure of another kind")
    assert len(at_work.calls) == 3
    assert at_work.run.usage.model_calls == 2


async def test_a_call_that_an_agent_makes_by_itself_is_booked_as_it_begins() -> None:
    at_work = AtWork(Budget(tokens=2_500))
    await at_work.call(input_tokens=1_000, output_tokens=100)
    await at_work.call(input_tokens=300, output_tokens=50)
    begun = await at_work.run.begin("model", "mini", provider="openai")
    assert await at_work.booked() == Spend(1_450 + 1_000, 3, 1_600_000 + 2_000_000)
    with pytest.raises(BudgetExceeded, match="may spend 2,500 tokens and has spent 2,450"):
        await at_work.run.begin("model", "mini", provider="openai")
    await at_work.run.end(begun, input_tokens=10, output_tokens=1)
    assert (await at_work.booked()).tokens == 1_461
    assert at_work.run.usage.model_calls == 3


async def test_an_own_call_may_name_its_provider_in_its_name() -> None:
    at_work = AtWork(Budget(cost_usd=1))
    call = await at_work.run.begin("model", MINI)
    await at_work.run.end(call, input_tokens=1_000, output_tokens=0)
    assert at_work.run.usage.cost_usd == 0.001


@pytest.mark.parametrize(
    ("told", "tokens", "cost"),
    [
        ({}, 1_000, None),
        ({"input_tokens": 0, "output_tokens": 0}, 1_000, None),
        ({"input_tokens": -500, "output_tokens": 3}, 1_000, None),
        ({"input_tokens": float("nan"), "output_tokens": 3}, 1_000, None),
        ({"input_tokens": "many", "output_tokens": 3}, 1_000, None),
        ({"input_tokens": 10**20, "output_tokens": 3}, 1_000, None),
        ({"input_tokens": 40, "output_tokens": 3}, 43, 46 / 1e6),
        ({"error": "429", "input_tokens": 0, "output_tokens": 0}, 0, None),
        ({"error": "429"}, 0, None),
    ],
)
async def test_an_own_call_is_settled_as_far_as_it_was_counted(
    told: dict[str, Any], tokens: int, cost: float | None
) -> None:
    at_work = AtWork(Budget(tokens=5_000))
    call = await at_work.run.begin("model", "mini", provider="openai")
    await at_work.run.end(call, **told)
    assert (await at_work.booked()).tokens == tokens
    assert at_work.run.usage.cost_usd == cost
    assert at_work.run.usage.input_tokens >= 0


async def test_a_call_through_lent_models_is_booked_once() -> None:
    at_work, models = AtWork(Budget(tokens=5_000)), ScriptedModels()
    await at_work.run.within_budget(models).ask(MINI, QUESTION)
    await at_work.call(input_tokens=11, output_tokens=7)
    assert await at_work.booked() == Spend(18, 1, 25_000)
    own = await at_work.run.begin("model", "mini", provider="openai", lent=False)
    await at_work.run.end(own, input_tokens=11, output_tokens=7)
    assert await at_work.booked() == Spend(36, 2, 50_000)


async def test_the_agent_s_budget_holds_for_a_task_without_one() -> None:
    at_work, models = AtWork(), ScriptedModels()
    assert at_work.run.within_budget(models) is models
    at_work.run.allowed = AgentBudget(task=StrictBudget(tokens=1))
    with pytest.raises(BudgetExceeded):
        await at_work.run.within_budget(models).ask(MINI, QUESTION)
    assert not models.asked


async def test_a_worker_that_keeps_no_budgets_runs_no_task_that_has_one() -> None:
    models = ScriptedModels()
    assert AtWork(keeps_budgets=False).run.within_budget(models) is models
    with pytest.raises(BudgetExceeded, match="keeps no budgets"):
        AtWork(Budget(tokens=10**9), keeps_budgets=False).run.within_budget(models)
    of_an_agent = AtWork(keeps_budgets=False).run
    of_an_agent.allowed = AgentBudget(day=StrictBudget(tokens=10**9))
    with pytest.raises(BudgetExceeded, match="keeps no budgets"):
        of_an_agent.within_budget(models)


async def test_without_prices_a_run_says_no_cost() -> None:
    at_work = AtWork(keeps_budgets=False)
    await at_work.call(input_tokens=1_000)
    assert at_work.run.usage.cost_usd is None
