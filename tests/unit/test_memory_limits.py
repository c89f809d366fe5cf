"""The memory adapters keep what every ledger and rate limiter promises."""

import pytest

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.ledger import MemoryLedger
from app.adapters.memory.rate_limiter import MemoryRateLimiter
from app.domain.model.budgets import Spend
from app.ports.ledger import Ledger
from app.ports.rate_limiter import Rate, RateLimiter
from tests.contracts.ledger import LedgerContract, account, call
from tests.contracts.rate_limiter import RateLimiterContract


class TestMemoryLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> Ledger:
        return MemoryLedger(MemoryClock())


class TestMemoryRateLimiter(RateLimiterContract):
    @pytest.fixture
    def limiter(self) -> RateLimiter:
        return MemoryRateLimiter(MemoryClock())


async def test_an_account_is_forgotten_in_time() -> None:
    clock = MemoryClock()
    ledger = MemoryLedger(clock)
    await ledger.reserve(call("a", account("one"), tokens=5))
    clock.advance(59)
    assert await ledger.spent(["one"]) == [Spend(5, 1, 0)]
    clock.advance(2)
    assert await ledger.spent(["one"]) == [Spend()]


async def test_time_that_passes_is_waited_for_no_more() -> None:
    clock = MemoryClock()
    limiter, rate = MemoryRateLimiter(clock), Rate("r", per_minute=60)
    assert [await limiter.take(rate, 1, 60) for _ in range(3)] == [0, 1, 2]
    clock.advance(2.5)
    assert await limiter.take(rate, 1, 60) == pytest.approx(0.5)
    clock.advance(100)
    assert [await limiter.take(rate, 1, 60) for _ in range(2)] == [0, 1]
