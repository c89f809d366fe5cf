"""What every RateLimiter must do; each adapter's test class subclasses this.

The rates are slow ones, so that the time a test takes is nothing beside the waits it is told.
"""

import asyncio

import pytest

from app.ports.rate_limiter import Rate, RateLimiter

SLOW = Rate("slow", per_minute=6)
LONG = 3_600


def about(seconds: float) -> object:
    return pytest.approx(seconds, abs=4)


class RateLimiterContract:
    @pytest.fixture
    def limiter(self) -> RateLimiter:
        raise NotImplementedError("the subclass provides the limiter under test")

    async def test_turns_come_evenly(self, limiter: RateLimiter) -> None:
        waits = [await limiter.take(SLOW, 1, LONG) for _ in range(4)]
        assert waits == [0, about(10), about(20), about(30)]

    async def test_a_second_s_worth_goes_at_once(self, limiter: RateLimiter) -> None:
        rate = Rate("fast", per_minute=300)
        waits = [await limiter.take(rate, 1, LONG) for _ in range(5)]
        assert waits == [0] * 5
        await limiter.take(rate, 300, LONG)
        assert await limiter.take(rate, 1, LONG) == about(60)

    async def test_what_is_larger_than_a_minute_goes_and_the_next_waits_longer(
        self, limiter: RateLimiter
    ) -> None:
        assert await limiter.take(SLOW, 12, LONG) == 0
        assert await limiter.take(SLOW, 1, LONG) == about(120)

    async def test_who_would_wait_too_long_takes_no_turn(self, limiter: RateLimiter) -> None:
        await limiter.take(SLOW, 6, LONG)
        assert await limiter.take(SLOW, 6, longest_wait=30) == about(60)
        assert await limiter.take(SLOW, 1, LONG) == about(60)

    async def test_names_do_not_wait_for_each_other(self, limiter: RateLimiter) -> None:
        await limiter.take(SLOW, 6, LONG)
        assert await limiter.take(Rate("another", per_minute=6), 1, LONG) == 0

    async def test_a_turn_for_too_much_is_given_back(self, limiter: RateLimiter) -> None:
        await limiter.take(SLOW, 12, LONG)
        await limiter.correct(SLOW, -6)
        assert await limiter.take(SLOW, 1, LONG) == about(60)

    async def test_a_turn_for_too_little_is_made_up_for(self, limiter: RateLimiter) -> None:
        await limiter.take(SLOW, 6, LONG)
        await limiter.correct(SLOW, 6)
        assert await limiter.take(SLOW, 1, LONG) == about(120)

    async def test_what_was_given_back_is_not_saved_up(self, limiter: RateLimiter) -> None:
        await limiter.take(SLOW, 1, LONG)
        await limiter.correct(SLOW, -100)
        assert [await limiter.take(SLOW, 1, LONG) for _ in range(2)] == [0, about(10)]

    @pytest.mark.parametrize("units", [10**12, -(10**12), float("nan"), 10**400, "6"], ids=str)
    async def test_a_count_that_cannot_be_true_corrects_nothing(
        self, limiter: RateLimiter, units: int
    ) -> None:
        await limiter.take(SLOW, 6, LONG)
        await limiter.correct(SLOW, units)
        assert await limiter.take(SLOW, 1, LONG) == about(60)

    async def test_turns_taken_at_once_are_all_different(self, limiter: RateLimiter) -> None:
        waits = await asyncio.gather(*(limiter.take(SLOW, 1, LONG) for _ in range(20)))
        assert sorted(waits) == [about(10 * number) for number in range(20)]
