"""What a worker may spend and how fast it may ask: shared in Redis, or of this process alone."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.adapters.limits.chat_models import LimitedChatModels, ProviderLimits
from app.adapters.local.clock import SystemClock
from app.adapters.local.prices import read_prices
from app.adapters.memory.ledger import MemoryLedger
from app.adapters.memory.rate_limiter import MemoryRateLimiter
from app.domain.use_cases.spend_on_models import Spending
from app.entrypoints.bootstrap.extras import check_redis
from app.entrypoints.settings import LimitsSettings, Settings, SettingsError
from app.ports.chat_model import ChatModels
from app.ports.ledger import Ledger
from app.ports.rate_limiter import RateLimiter


@dataclass(frozen=True, slots=True)
class Limits:
    spending: Spending
    shared: bool
    """Whether other workers count with us."""
    _rates: RateLimiter
    _providers: ProviderLimits

    def on(self, models: ChatModels) -> ChatModels:
        """The same models, asked no faster than their providers shall be."""
        return LimitedChatModels(models, self._providers, self._rates)


@asynccontextmanager
async def open_limits(settings: Settings) -> AsyncIterator[Limits]:
    """Raise `InvalidPrices` for a broken file, `SettingsError` where Redis's client is missing."""
    limits = settings.limits
    prices = read_prices([Path(file) for file in limits.prices])
    async with _counters(settings) as (ledger, rates):
        yield Limits(
            Spending(ledger, prices, SystemClock(), limits.answer_tokens),
            limits.redis_url is not None,
            rates,
            _of_providers(limits),
        )


@asynccontextmanager
async def _counters(settings: Settings) -> AsyncIterator[tuple[Ledger, RateLimiter]]:
    url = settings.limits.redis_url
    if url is None:
        clock = SystemClock()
        yield MemoryLedger(clock), MemoryRateLimiter(clock)
        return
    check_redis(settings)
    from app.adapters.redis.connection import open_redis  # noqa: PLC0415  an extra
    from app.adapters.redis.ledger import RedisLedger  # noqa: PLC0415
    from app.adapters.redis.rate_limiter import RedisRateLimiter  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        try:
            redis = await stack.enter_async_context(open_redis(url.get_secret_value()))
        except ValueError as error:
            raise SettingsError([f"CREWLINE_LIMITS__REDIS_URL=***: {error}"]) from error
        prefix = settings.kafka.prefix
        yield RedisLedger(redis, prefix), RedisRateLimiter(redis, prefix)


def _of_providers(limits: LimitsSettings) -> ProviderLimits:
    return ProviderLimits(
        at_once=limits.concurrent_calls,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        longest_wait=limits.longest_wait_seconds,
        answer_tokens=limits.answer_tokens,
        failures_to_open=limits.breaker_failures,
        open_seconds=limits.breaker_seconds,
    )
