"""Any chat models, asked no faster and no more at once than their providers shall be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from app.adapters.limits.breaker import CircuitBreaker
from app.ports.chat_model import (
    ChatAnswer,
    ChatModels,
    ChatRequest,
    Model,
    ModelFailed,
    ModelRateLimited,
    OnText,
)
from app.ports.rate_limiter import Rate, RateLimiter, RateLimiterUnavailable

_log = logging.getLogger(__name__)

_MOST_KEPT = 64
"""Breakers; where every model is allowed, a task may name any provider."""

EVERY = "*"
"""Stands for every provider that is not named."""

PerProvider = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """What holds for each provider; one that is not named, nor `*`, has no such limit."""

    at_once: PerProvider = field(default_factory=dict)
    """Calls on their way at the same time, of this process."""
    requests_per_minute: PerProvider = field(default_factory=dict)
    tokens_per_minute: PerProvider = field(default_factory=dict)
    longest_wait: float = 60
    """Seconds a call waits for its turn; one that would wait longer fails, to come back later."""
    answer_tokens: int = 1_000
    """What an answer is taken to have before it is there."""
    failures_to_open: int = 5
    open_seconds: float = 30


class LimitedChatModels(ChatModels):
    """Asks `models`. The breakers and the calls at once are this process's, the rates shared."""

    def __init__(
        self,
        models: ChatModels,
        limits: ProviderLimits,
        rates: RateLimiter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._models = models
        self._limits = limits
        self._rates = rates
        self._sleep = sleep
        self._breakers: dict[str, CircuitBreaker] = {}
        self._slots: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._rates_are_away = False

    async def ask(
        self, model: Model, request: ChatRequest, on_text: OnText | None = None
    ) -> ChatAnswer:
        provider = model.partition(":")[0]
        breaker = self._breaker(provider)
        breaker.check()
        async with self._slot(provider):
            tokens = request.about_tokens(self._limits.answer_tokens)
            await self._wait_for_turn(provider, tokens)
            try:
                with breaker.call():
                    answer = await self._models.ask(model, request, on_text)
            except ModelFailed as failure:
                if failure.answer is not None:
                    await self._correct(provider, tokens, failure.answer.checked(request))
                raise
        answer = answer.checked(request)
        await self._correct(provider, tokens, answer)
        return answer

    def input_limit(self, model: Model) -> int | None:
        return self._models.input_limit(model)

    def missing_keys(self, model: Model) -> tuple[str, ...]:
        return self._models.missing_keys(model)

    def key_faults(self, model: Model) -> tuple[str, ...]:
        return self._models.key_faults(model)

    async def _correct(self, provider: str, tokens: int, answer: ChatAnswer) -> None:
        """Have the rate know what an answer took, where somebody counted it."""
        rate = self._rate(provider, "tokens", self._limits.tokens_per_minute)
        if rate and answer.counted:
            await self._rates.correct(rate, answer.input_tokens + answer.output_tokens - tokens)

    def _breaker(self, provider: str) -> CircuitBreaker:
        if provider not in self._breakers:
            while len(self._breakers) >= _MOST_KEPT:
                del self._breakers[next(iter(self._breakers))]
            limits = self._limits
            self._breakers[provider] = CircuitBreaker(
                provider, limits.failures_to_open, limits.open_seconds
            )
        return self._breakers[provider]

    def _slot(self, provider: str) -> AbstractAsyncContextManager[None]:
        """Kept as long as somebody holds it or waits for it."""
        most = _of(provider, self._limits.at_once)
        if most is None:
            return nullcontext()
        slot = self._slots.get(provider)
        if slot is None:
            slot = self._slots[provider] = asyncio.Semaphore(most)
        return slot

    async def _wait_for_turn(self, provider: str, tokens: int) -> None:
        wait = 0.0
        for kind, units, limits in (
            ("requests", 1, self._limits.requests_per_minute),
            ("tokens", tokens, self._limits.tokens_per_minute),
        ):
            if rate := self._rate(provider, kind, limits):
                wait = max(wait, await self._turn(rate, units))
        if wait > self._limits.longest_wait:
            raise ModelRateLimited(
                f"{provider} is asked no faster than its limits, and its turn would come in "
                f"{wait:.0f} s only",
                retry_after=wait,
                asked=False,
            )
        if wait > 0:
            await self._sleep(wait)

    async def _turn(self, rate: Rate, units: int) -> float:
        """Seconds until it comes; none where nobody knows, as providers have limits themselves."""
        try:
            wait = await self._rates.take(rate, units, self._limits.longest_wait)
        except RateLimiterUnavailable as error:
            if not self._rates_are_away:
                _log.warning("models are asked as fast as may be", extra={"why": error.message})
            self._rates_are_away = True
            return 0.0
        self._rates_are_away = False
        return wait

    def _rate(self, provider: str, kind: str, limits: PerProvider) -> Rate | None:
        per_minute = _of(provider, limits)
        return Rate(f"{provider}:{kind}", per_minute) if per_minute else None


def _of(provider: str, limits: PerProvider) -> int | None:
    return limits.get(provider, limits.get(EVERY))
