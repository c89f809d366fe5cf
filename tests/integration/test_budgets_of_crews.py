"""Budgets and limits the whole way: a worker, a crew, the real SDKs, and a provider that counts."""

import asyncio
from dataclasses import dataclass, field
from datetime import date

import pytest
from pydantic import JsonValue

import app.adapters.crewai.kickoff  # noqa: F401  # seconds, for which no test has time
from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.limits.chat_models import LimitedChatModels, ProviderLimits
from app.adapters.local.catalog import compile_schema
from app.adapters.local.clock import SystemClock
from app.adapters.local.servers.redis import RedisServer
from app.adapters.local.servers.server import ServerUnavailable, free_port
from app.adapters.memory.catalog import accept_everything
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.delays import MemoryDelays
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.ledger import MemoryLedger
from app.adapters.memory.rate_limiter import MemoryRateLimiter
from app.adapters.memory.tracing import RecordingTracing
from app.adapters.redis.connection import open_redis
from app.adapters.redis.ledger import RedisLedger
from app.domain.model.agents import Agent, AgentCatalog, AgentSpec
from app.domain.model.budgets import AgentBudget, Budget, StrictBudget
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.events import Event, TaskCompleted, TaskFailed, TraceModelCall
from app.domain.model.ids import WorkerId
from app.domain.model.lifecycle import Reason
from app.domain.model.prices import Price, Prices
from app.domain.model.retries import RetryPolicy
from app.domain.use_cases.run_task import RunTaskHandler
from app.domain.use_cases.spend_on_models import Spending
from app.ports.ledger import Ledger, LedgerUnavailable
from tests.builders import submitted
from tests.contracts.agent_runtime import agent
from tests.model_server import ModelServer, Text, overloaded, rate_limited
from tests.unit.at_work import delivered

pytest_plugins = ["tests.model_server.fixtures"]

MODEL = "openai:gpt-4.1-mini"
PRICES = Prices.of([Price(model=MODEL, input=1, output=10, taken=date(2026, 1, 1))])
STEPS: list[JsonValue] = [
    {
        "name": f"step-{number}",
        "description": "Go on.",
        "expected_output": "A word.",
        "agent": "one",
    }
    for number in range(1, 6)
]
FIVE_CALLS: dict[str, JsonValue] = {
    "agents": {"one": {"role": "One", "goal": "Go on."}},
    "tasks": STEPS,
}
"""A crew that asks its model five times."""


def spec(budget: AgentBudget | None = None, attempts: int = 1) -> AgentSpec:
    return agent("crewai", **FIVE_CALLS).model_copy(
        update={"budget": budget or AgentBudget(), "retry": RetryPolicy(attempts=attempts)}
    )


def command(name: str = "t-1", **budget: float) -> SubmitTask:
    asked = Budget.model_validate(budget) if budget else None
    return submitted(name, agent="tester").model_copy(update={"budget": asked})


@dataclass
class Worker:
    """A worker's handler on a log in memory; the crew and its provider are real."""

    models: LangChainChatModels
    spec: AgentSpec
    ledger: Ledger = field(default_factory=lambda: MemoryLedger(SystemClock()))
    limits: ProviderLimits = field(default_factory=ProviderLimits)
    answer_tokens: int = 100

    def __post_init__(self) -> None:
        clock = SystemClock()
        limited = LimitedChatModels(self.models, self.limits, MemoryRateLimiter(clock))
        crews = CrewAIRuntime(limited, MODEL, {}, compile_schema)
        self.log, self.letters = MemoryEventLog(), MemoryDeadLetters()
        self.handle = RunTaskHandler(
            worker_id=WorkerId("worker-1"),
            catalog=AgentCatalog([Agent(self.spec, accept_everything({}))]),
            runtimes={crews.name: crews},
            log=self.log,
            dead_letters=self.letters,
            delays=MemoryDelays(clock.now),
            clock=clock,
            tracing=RecordingTracing(),
            spending=Spending(self.ledger, PRICES, clock, self.answer_tokens),
        )

    @property
    def events(self) -> list[Event]:
        records = (each for shard in self.log.ends() for each in self.log.records(shard))
        events = [each.message for each in records if isinstance(each.message, Event)]
        return sorted(events, key=lambda event: (event.attempt, event.sequence))

    async def run(self, task: SubmitTask) -> Event:
        """Its last event."""
        async with asyncio.timeout(60):
            await self.handle(delivered(task))
        return [event for event in self.events if event.task_id == task.id][-1]

    def failed(self, task: Event) -> TaskFailed:
        assert isinstance(task, TaskFailed)
        return task


@pytest.fixture
def worker(chat_models: LangChainChatModels) -> Worker:
    return Worker(chat_models, spec())


async def test_a_crew_without_a_budget_says_what_it_spent(
    worker: Worker, model_server: ModelServer
) -> None:
    model_server.script(Text("Word.", input_tokens=1_000, output_tokens=100))
    ended = await worker.run(command())
    assert isinstance(ended, TaskCompleted)
    calls = [event for event in worker.events if isinstance(event, TraceModelCall)]
    assert [call.cost_usd for call in calls] == [0.002] * 5
    assert ended.usage.cost_usd == pytest.approx(0.01)
    assert (ended.usage.model_calls, ended.usage.input_tokens) == (5, 5_000)


async def test_a_model_without_a_price_costs_null(
    chat_models: LangChainChatModels, model_server: ModelServer
) -> None:
    worker = Worker(chat_models, spec())
    task = command().model_copy(update={"model": "openai:of-our-own"})
    ended = await worker.run(task)
    assert isinstance(ended, TaskCompleted)
    assert ended.usage.cost_usd is None
    assert ended.usage.model_calls == 5


async def test_a_provider_that_counts_nothing_is_charged_as_estimated(
    worker: Worker, model_server: ModelServer
) -> None:
    model_server.script(Text("Word.", usage=None))
    whole = await worker.run(command())
    assert isinstance(whole, TaskCompleted)
    assert whole.usage.cost_usd is None, "it is not known, which is not nothing"
    assert whole.usage.input_tokens > 0
    calls = [event for event in worker.events if isinstance(event, TraceModelCall)]
    assert [(call.counted, call.cost_usd) for call in calls] == [(False, None)] * 5
    ended = worker.failed(await worker.run(command("t-2", tokens=700)))
    assert ended.reason == Reason.BUDGET_EXCEEDED
    assert len(model_server.seen) < 10, "five of the first task, and fewer of the second"
    [booked] = await worker.ledger.spent([f"task:{ended.task_id}:0"])
    assert 100 < booked.tokens <= 700
    assert booked.nano_usd


@pytest.mark.parametrize("count", [-1_000, 10**30, 0, "many"], ids=repr)
async def test_counts_that_cannot_be_true_undo_no_budget(
    worker: Worker, model_server: ModelServer, count: object
) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": count, "total_tokens": count}
    model_server.script(Text("Word.", usage=usage))
    ended = worker.failed(await worker.run(command(cost_usd=0.003)))
    assert ended.reason == Reason.BUDGET_EXCEEDED
    assert ended.usage.cost_usd is None


async def test_an_answer_that_was_cut_fails_its_task_and_is_charged(
    worker: Worker, model_server: ModelServer
) -> None:
    model_server.script(Text("Half a", ends="length", input_tokens=1_000, output_tokens=500))
    ended = worker.failed(await worker.run(command(tokens=5_000)))
    assert (ended.error.code, ended.error.retryable) == ("model-answer-cut", False)
    assert "Half a" in ended.error.message
    assert len(model_server.seen) == 1
    assert (ended.usage.input_tokens, ended.usage.output_tokens) == (1_000, 500)
    assert ended.usage.cost_usd == pytest.approx(0.006)
    [booked] = await worker.ledger.spent([f"task:{ended.task_id}:0"])
    assert (booked.tokens, booked.nano_usd) == (1_500, 6_000_000)


async def test_the_models_that_a_crew_brings_along_count_too(
    chat_models: LangChainChatModels, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_MODEL_URL", model_server.openai_url)
    model_server.script(Text("Word.", input_tokens=1_000, output_tokens=100))
    factory = "tests.integration.crews_of_their_own:with_a_model_of_its_own"
    worker = Worker(chat_models, agent("crewai", factory=factory))
    whole = await worker.run(command())
    assert isinstance(whole, TaskCompleted)
    assert (whole.usage.model_calls, whole.usage.input_tokens) == (3, 3_000)
    assert model_server.seen[0].headers["authorization"] == "Bearer sk-its-own"
    ended = worker.failed(await worker.run(command("t-2", model_calls=2)))
    assert (ended.reason, ended.error.retryable) == (Reason.BUDGET_EXCEEDED, False)
    [booked] = await worker.ledger.spent([f"task:{ended.task_id}:0"])
    assert (booked.model_calls, booked.tokens) == (2, 2_200)


async def test_half_an_answer_of_a_crew_s_own_model_is_no_whole_one_either(
    chat_models: LangChainChatModels, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_MODEL_URL", model_server.openai_url)
    model_server.script(Text("Half a", ends="length"))
    factory = "tests.integration.crews_of_their_own:with_a_model_of_its_own"
    ended = Worker(chat_models, agent("crewai", factory=factory))
    failed = ended.failed(await ended.run(command()))
    assert (failed.error.code, failed.error.retryable) == ("model-answer-cut", False)
    assert "Half a" in failed.error.message


async def test_a_refusal_fails_its_task_with_its_words(
    worker: Worker, model_server: ModelServer
) -> None:
    model_server.script(Text("I will not say that.", refuses=True))
    ended = worker.failed(await worker.run(command()))
    assert (ended.error.code, ended.error.retryable) == ("model-declined", False)
    assert "I will not say that." in ended.error.message
    assert len(model_server.seen) == 1


async def test_a_crew_stops_before_the_call_that_would_overspend_its_tokens(
    worker: Worker, model_server: ModelServer
) -> None:
    model_server.script(Text("Word.", input_tokens=1_000, output_tokens=500))
    ended = worker.failed(await worker.run(command(tokens=3_100)))
    assert (ended.error.code, ended.reason) == ("budget-exceeded", Reason.BUDGET_EXCEEDED)
    assert not ended.error.retryable
    assert "the task may spend 3,100 tokens and has spent 3,000" in ended.error.message
    assert len(model_server.seen) == ended.usage.model_calls == 2
    [letter] = worker.letters.letters
    assert letter.reason == DeadLetterReason.BUDGET_EXCEEDED


async def test_a_crew_stops_before_the_call_that_would_overspend_its_money(
    worker: Worker, model_server: ModelServer
) -> None:
    model_server.script(Text("Word.", input_tokens=1_000, output_tokens=100))
    ended = worker.failed(await worker.run(command(cost_usd=0.0065)))
    assert ended.reason == Reason.BUDGET_EXCEEDED
    assert "the task may spend $0.0065 and has spent $0.006;" in ended.error.message
    assert len(model_server.seen) == 3
    assert ended.usage.cost_usd == pytest.approx(0.006)


async def test_a_budget_in_money_refuses_a_model_without_a_price_unasked(
    worker: Worker, model_server: ModelServer
) -> None:
    task = command(cost_usd=100).model_copy(update={"model": "openai:of-our-own"})
    ended = worker.failed(await worker.run(task))
    assert ended.reason == Reason.BUDGET_EXCEEDED
    assert "no known price" in ended.error.message
    assert model_server.seen == []


async def test_a_budget_in_calls_is_kept_to_the_call(
    worker: Worker, model_server: ModelServer
) -> None:
    ended = worker.failed(await worker.run(command(model_calls=3)))
    assert ended.reason == Reason.BUDGET_EXCEEDED
    assert len(model_server.seen) == 3


async def test_two_workers_share_an_agent_s_day(
    chat_models: LangChainChatModels, model_server: ModelServer, redis_url: str, topic_prefix: str
) -> None:
    agent_s = spec(AgentBudget(day=StrictBudget(model_calls=13)))
    async with open_redis(redis_url) as one, open_redis(redis_url) as other:
        workers = [
            Worker(chat_models, agent_s, RedisLedger(redis, topic_prefix)) for redis in (one, other)
        ]
        ended = await asyncio.gather(
            *(
                worker.run(command(f"t-{which}-{number}"))
                for which, worker in enumerate(workers)
                for number in range(2)
            )
        )
    assert len(model_server.seen) == 13, "of the twenty that four crews wanted"
    stopped = [each for each in ended if isinstance(each, TaskFailed)]
    assert len(stopped) >= 2
    for each in stopped:
        assert each.reason == Reason.BUDGET_EXCEEDED
        assert "tester on 20" in each.error.message
        assert "may make 13 model calls and has made 13" in each.error.message


async def test_while_redis_is_away_a_task_with_a_budget_waits_and_asks_nobody(
    chat_models: LangChainChatModels, model_server: ModelServer, topic_prefix: str
) -> None:
    async with open_redis(f"redis://127.0.0.1:{free_port()}/0") as nobody:
        worker = Worker(chat_models, spec(), RedisLedger(nobody, topic_prefix))
        with pytest.raises(LedgerUnavailable, match="Redis is away"):
            await worker.run(command(tokens=100_000))
        assert model_server.seen == []
        assert not any(isinstance(event, TaskFailed) for event in worker.events)
        assert isinstance(await worker.run(command("t-2")), TaskCompleted), "it has no budget"


async def test_a_redis_that_ends_in_between_stops_the_crew_at_its_next_call(
    chat_models: LangChainChatModels, model_server: ModelServer, topic_prefix: str
) -> None:
    try:
        server = RedisServer()
        server.start()
    except ServerUnavailable as error:
        pytest.skip(error.message)
    try:
        model_server.script(Text("Word."), Text("Word.", after=0.5))
        async with open_redis(server.url) as redis:
            worker = Worker(chat_models, spec(), RedisLedger(redis, topic_prefix))
            running = asyncio.create_task(worker.run(command(tokens=100_000)))
            await model_server.until_asked(2, within=60)
            server.kill()
            with pytest.raises(LedgerUnavailable):
                await running
        assert len(model_server.seen) == 2
    finally:
        server.stop()


async def test_a_storm_of_429_opens_no_breaker_but_500s_do(
    chat_models: LangChainChatModels, model_server: ModelServer
) -> None:
    worker = Worker(chat_models, spec(), limits=ProviderLimits(failures_to_open=3))
    model_server.script(rate_limited(0.1))
    for number in range(5):
        stormy = worker.failed(await worker.run(command(f"stormy-{number}")))
        assert stormy.error.code == "model-rate-limited"
    assert len(model_server.seen) == 5
    model_server.script(overloaded())
    codes = [
        worker.failed(await worker.run(command(f"down-{number}"))).error for number in range(5)
    ]
    assert {error.code for error in codes} == {"model-unavailable"}
    assert len(model_server.seen) == 8, "the last two were not asked"
    assert "failed 3 times in a row" in codes[-1].message


async def test_a_rate_spaces_the_calls_of_a_crew(
    chat_models: LangChainChatModels, model_server: ModelServer
) -> None:
    limits = ProviderLimits(requests_per_minute={"openai": 300})
    worker = Worker(chat_models, spec(), limits=limits)
    began = await asyncio.gather(*(worker.run(command(f"t-{number}")) for number in range(3)))
    assert all(isinstance(each, TaskCompleted) for each in began)
    at = sorted(seen.at for seen in model_server.seen)
    assert len(at) == 15
    assert at[-1] - at[0] >= 10 * 0.2 - 0.1, "five go at once, the others one every 0.2 s"


async def test_no_more_calls_at_once_than_allowed(
    chat_models: LangChainChatModels, model_server: ModelServer
) -> None:
    model_server.script(Text("Word.", after=0.05))
    worker = Worker(chat_models, spec(), limits=ProviderLimits(at_once={"openai": 2}))
    await asyncio.gather(*(worker.run(command(f"t-{number}")) for number in range(5)))
    assert model_server.most_in_flight == 2
    assert len(model_server.seen) == 25
