"""The Redis adapters keep what ledgers and rate limiters promise, and say when Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from itertools import chain

import pytest
from redis.asyncio import Redis

from app.adapters.local.servers.server import free_port
from app.adapters.redis.connection import open_redis
from app.adapters.redis.ledger import RedisLedger
from app.adapters.redis.rate_limiter import RedisRateLimiter
from app.domain.model.budgets import Budget, BudgetExceeded, Spend
from app.ports.ledger import Ledger, LedgerUnavailable
from app.ports.rate_limiter import RateLimiter, RateLimiterUnavailable
from tests.contracts.ledger import LedgerContract, account, call
from tests.contracts.rate_limiter import SLOW, RateLimiterContract


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with open_redis(redis_url) as client:
        yield client


@pytest.fixture
async def nobody() -> AsyncIterator[Redis]:
    """A client whose Redis is away."""
    async with open_redis(f"redis://127.0.0.1:{free_port()}/0") as client:
        yield client


class TestRedisLedger(LedgerContract):
    @pytest.fixture
    def ledger(self, redis: Redis, topic_prefix: str) -> Ledger:
        return RedisLedger(redis, topic_prefix)


class TestRedisRateLimiter(RateLimiterContract):
    @pytest.fixture
    def limiter(self, redis: Redis, topic_prefix: str) -> RateLimiter:
        return RedisRateLimiter(redis, topic_prefix)


async def test_two_workers_share_one_budget(redis_url: str, topic_prefix: str) -> None:
    where = account("agent", Budget(tokens=100))
    async with open_redis(redis_url) as one, open_redis(redis_url) as other:
        workers = [RedisLedger(one, topic_prefix), RedisLedger(other, topic_prefix)]
        calls = [
            worker.reserve(call(f"{number}-{which}", where, tokens=9))
            for number in range(25)
            for which, worker in enumerate(workers)
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(outcome is None for outcome in outcomes) == 11
        assert all(isinstance(each, BudgetExceeded) for each in outcomes if each is not None)
        assert await workers[0].spent(["agent"]) == [Spend(99, 11, 0)]


async def test_many_calls_at_once_wait_for_a_connection(redis: Redis, topic_prefix: str) -> None:
    ledger, where = RedisLedger(redis, topic_prefix), account("busy", Budget(tokens=10**9))
    calls = [call(f"{number}", where, tokens=1) for number in range(200)]
    await asyncio.gather(*(ledger.reserve(each) for each in calls))
    await asyncio.gather(*(ledger.settle(each, Spend(2, 1, 0)) for each in calls))
    assert await ledger.spent(["busy"]) == [Spend(400, 200, 0)]


async def test_two_workers_share_one_rate(redis_url: str, topic_prefix: str) -> None:
    async with open_redis(redis_url) as one, open_redis(redis_url) as other:
        workers = [RedisRateLimiter(one, topic_prefix), RedisRateLimiter(other, topic_prefix)]
        takes = [[worker.take(SLOW, 1, 3_600) for worker in workers] for _ in range(5)]
        waits = sorted(await asyncio.gather(*chain(*takes)))
    assert waits == [pytest.approx(10 * number, abs=4) for number in range(10)]


async def test_installations_on_one_redis_do_not_meet(redis: Redis, topic_prefix: str) -> None:
    ours, theirs = RedisLedger(redis, topic_prefix), RedisLedger(redis, f"{topic_prefix}-2")
    await ours.reserve(call("a", account("one"), tokens=5))
    assert await theirs.spent(["one"]) == [Spend()]


async def test_everything_in_redis_is_forgotten_in_time(redis: Redis, topic_prefix: str) -> None:
    ledger, limiter = RedisLedger(redis, topic_prefix), RedisRateLimiter(redis, topic_prefix)
    await ledger.reserve(call("a", account("one")))
    await limiter.take(SLOW, 6, 60)
    await limiter.correct(SLOW, 6)
    keys = await redis.keys(f"{{{topic_prefix}}}:*")
    lasting = {str(key).partition(":")[2]: await redis.ttl(key) for key in keys}
    assert lasting == {
        "ledger:one": pytest.approx(60, abs=10),
        "rate:slow": pytest.approx(121, abs=10),
    }


async def test_without_redis_nothing_is_spent(nobody: Redis) -> None:
    ledger = RedisLedger(nobody, "test")
    async with asyncio.timeout(15):
        with pytest.raises(LedgerUnavailable, match="budgets cannot be kept, as Redis is away"):
            await ledger.reserve(call("a", account("one")))
        with pytest.raises(LedgerUnavailable):
            await ledger.spent(["one"])


async def test_what_redis_cannot_hear_is_settled_by_nobody_and_hurts_nobody(
    nobody: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await RedisLedger(nobody, "test").settle(call("a", account("one")), Spend(1, 1, 1))
    await RedisRateLimiter(nobody, "test").correct(SLOW, 1)
    assert [record.getMessage() for record in caplog.records] == [
        "a model call stays booked as estimated",
        "a rate is not corrected",
    ]


async def test_a_rate_that_cannot_be_known_is_said(nobody: Redis) -> None:
    with pytest.raises(RateLimiterUnavailable, match="Redis is away"):
        await RedisRateLimiter(nobody, "test").take(SLOW, 1, 60)
