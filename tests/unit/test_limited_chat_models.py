"""Models behind limits: how many calls at once, how fast, and what a provider in trouble gets."""

import asyncio

import pytest

from app.adapters.limits.chat_models import LimitedChatModels, ProviderLimits
from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.rate_limiter import MemoryRateLimiter
from app.ports.chat_model import (
    AnswerCut,
    ChatAnswer,
    ChatMessage,
    ChatRequest,
    ModelRateLimited,
    ModelUnavailable,
    ToolOffer,
)
from app.ports.rate_limiter import Rate, RateLimiter, RateLimiterUnavailable
from tests.scripted_models import ANSWER, QUESTION, ScriptedModels
from tests.waiting import until

MINI = "openai:mini"
NO_LIMITS = ProviderLimits()


class Behind:
    """Scripted models behind limits, and a clock that sleeping moves."""

    def __init__(self, limits: ProviderLimits, rates: RateLimiter | None = None) -> None:
        self.clock = MemoryClock()
        self.began = self.clock.now()
        self.slept: list[float] = []
        self.models = ScriptedModels()
        rates = rates or MemoryRateLimiter(self.clock)
        self.limited = LimitedChatModels(self.models, limits, rates, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    async def ask(self, model: str = MINI) -> ChatAnswer:
        return await self.limited.ask(model, QUESTION)

    @property
    def seconds(self) -> float:
        return (self.clock.now() - self.began).total_seconds()


async def test_without_limits_models_are_asked_as_they_are() -> None:
    behind = Behind(NO_LIMITS)
    assert await behind.ask() == ANSWER
    assert behind.models.asked == [(MINI, QUESTION)]
    assert behind.limited.input_limit(MINI) == 1_000
    assert behind.limited.missing_keys(MINI) == ("SOME_KEY",)
    assert not behind.slept


async def test_so_many_calls_at_once_and_no_more() -> None:
    behind = Behind(ProviderLimits(at_once={"openai": 2}))
    behind.models.gate = asyncio.Event()
    calls = [asyncio.create_task(behind.ask()) for _ in range(5)]
    other = asyncio.create_task(behind.ask("anthropic:big"))
    await until(lambda: behind.models.in_flight == 3)
    behind.models.gate.set()
    await asyncio.gather(*calls, other)
    assert behind.models.most_in_flight == 3, "two of one provider, one of the other"
    assert len(behind.models.asked) == 6


async def test_a_call_that_is_canceled_makes_room() -> None:
    behind = Behind(ProviderLimits(at_once={"*": 1}))
    behind.models.gate = asyncio.Event()
    first, second = (asyncio.create_task(behind.ask()) for _ in range(2))
    await until(lambda: behind.models.in_flight == 1)
    first.cancel()
    behind.models.gate.set()
    assert await second == ANSWER


async def test_sixty_a_minute_is_one_a_second() -> None:
    behind = Behind(ProviderLimits(requests_per_minute={"openai": 60}))
    for _ in range(5):
        await behind.ask()
    assert behind.slept == [1, 1, 1, 1]
    await behind.ask("anthropic:big")
    assert behind.seconds == 4, "who has no limit does not wait"


async def test_tokens_are_counted_as_they_were_in_the_end() -> None:
    limits = ProviderLimits(tokens_per_minute={"openai": 1_080}, answer_tokens=1_000)
    behind = Behind(limits)
    for _ in range(11):
        await behind.ask()
    spent = ANSWER.input_tokens + ANSWER.output_tokens
    waits_for = spent / (1_080 / 60)
    burst = 1 - 60 / 1_080
    assert behind.seconds == pytest.approx(10 * waits_for - burst, abs=0.01)


async def test_who_would_wait_too_long_is_told_when_to_come_back() -> None:
    behind = Behind(ProviderLimits(requests_per_minute={"openai": 1}, longest_wait=30))
    await behind.ask()
    with pytest.raises(ModelRateLimited, match="openai is asked no faster") as refused:
        await behind.ask()
    assert refused.value.retry_after == pytest.approx(60)
    assert len(behind.models.asked) == 1


async def test_without_the_limiter_models_are_asked_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Away(MemoryRateLimiter):
        async def take(self, rate: Rate, units: int, longest_wait: float) -> float:
            raise RateLimiterUnavailable("Redis is away")

    behind = Behind(ProviderLimits(requests_per_minute={"*": 1}), Away(MemoryClock()))
    for _ in range(3):
        await behind.ask()
    assert [record.getMessage() for record in caplog.records] == [
        "models are asked as fast as may be"
    ]


@pytest.mark.parametrize("count", [0, -(10**6), 10**12], ids=str)
async def test_tokens_that_nobody_counted_correct_no_rate(count: int) -> None:
    behind = Behind(ProviderLimits(tokens_per_minute={"*": 600}, longest_wait=1, answer_tokens=600))
    behind.models.script = [ChatAnswer("x", input_tokens=count, output_tokens=count)]
    await behind.ask()
    with pytest.raises(ModelRateLimited) as refused:
        await behind.ask()
    assert refused.value.retry_after == pytest.approx(60, abs=5)


async def test_a_spoilt_answer_corrects_the_rate_by_what_it_took() -> None:
    behind = Behind(ProviderLimits(tokens_per_minute={"*": 600}, longest_wait=1, answer_tokens=1))
    cut = AnswerCut("cut", ChatAnswer("x", input_tokens=600, output_tokens=600))
    behind.models.script = [cut]
    with pytest.raises(AnswerCut):
        await behind.ask()
    with pytest.raises(ModelRateLimited) as refused:
        await behind.ask()
    assert refused.value.retry_after == pytest.approx(119, abs=5)


async def test_a_provider_that_fails_again_and_again_is_left_alone() -> None:
    behind = Behind(ProviderLimits(failures_to_open=3, open_seconds=60))
    behind.models.script = [ModelUnavailable("down", status=500)]
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="down"):
            await behind.ask()
    with pytest.raises(ModelUnavailable, match="failed 3 times in a row") as refused:
        await behind.ask()
    assert refused.value.retry_after == pytest.approx(60, abs=2)
    assert len(behind.models.asked) == 3
    behind.models.script = [ANSWER]
    assert await behind.ask("anthropic:big") == ANSWER, "the others are asked"


async def test_a_storm_of_429_leaves_no_provider_alone() -> None:
    behind = Behind(ProviderLimits(failures_to_open=3))
    behind.models.script = [ModelRateLimited("slow down", status=429)]
    for _ in range(20):
        with pytest.raises(ModelRateLimited):
            await behind.ask()
    assert len(behind.models.asked) == 20


async def test_those_that_waited_while_it_opened_are_refused_too() -> None:
    behind = Behind(ProviderLimits(at_once={"*": 1}, failures_to_open=1))
    behind.models.gate = asyncio.Event()
    behind.models.script = [ModelUnavailable("down", status=500)]
    calls = [asyncio.create_task(behind.ask()) for _ in range(4)]
    await until(lambda: behind.models.in_flight == 1)
    behind.models.gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, ModelUnavailable) for each in outcomes)
    assert len(behind.models.asked) == 1


def test_a_request_is_estimated_by_all_that_is_sent() -> None:
    plain = ChatRequest((ChatMessage("user", "x" * 400),))
    assert plain.about_input_tokens == 104
    tool = ToolOffer("look", "y" * 400, {"type": "object"})
    with_tool = ChatRequest(plain.messages, (tool,))
    assert with_tool.about_input_tokens > 204
    with_schema = ChatRequest(plain.messages, answer_schema={"title": "z" * 400})
    assert with_schema.about_input_tokens > 204
    assert ChatRequest((ChatMessage("user", "漢" * 100),)).about_input_tokens == 79


def test_a_cap_on_the_answer_counts_instead_of_the_usual() -> None:
    capped = ChatRequest(QUESTION.messages, max_tokens=50)
    assert capped.about_tokens(1_000) == capped.about_input_tokens + 50
    assert QUESTION.about_tokens(1_000) == QUESTION.about_input_tokens + 1_000
