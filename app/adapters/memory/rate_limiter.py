"""Turns of one process, by the generic cell rate algorithm."""

from app.ports.clock import Clock
from app.ports.rate_limiter import Rate, RateLimiter


class MemoryRateLimiter(RateLimiter):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free_at: dict[str, float] = {}
        """When all that was taken so far will have been let through."""

    async def take(self, rate: Rate, units: int, longest_wait: float) -> float:
        now = self._clock.now().timestamp()
        free_at = max(now, self._free_at.get(rate.name, now))
        wait = max(0.0, round(free_at - now - rate.burst_seconds, 6))
        if wait <= longest_wait:
            self._free_at[rate.name] = free_at + units * rate.seconds_each
        return wait

    async def correct(self, rate: Rate, units: int) -> None:
        if rate.name in self._free_at and self.possible(units):
            self._free_at[rate.name] += units * rate.seconds_each
