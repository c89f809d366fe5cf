"""Turns in Redis, by the generic cell rate algorithm and by Redis's own clock."""

import logging

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.ports.rate_limiter import Rate, RateLimiter, RateLimiterUnavailable

_log = logging.getLogger(__name__)

_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local units, each, burst, longest = unpack(ARGV)
local free_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
local wait = math.max(0, free_at - now - burst)
if wait <= tonumber(longest) then
  free_at = free_at + units * each
  local keep = math.ceil(free_at - now) + 1
  redis.call('SET', KEYS[1], string.format('%.6f', free_at), 'EX', keep)
end
return string.format('%.6f', wait)
"""

_CORRECT = """
local free_at = redis.call('GET', KEYS[1])
if free_at then
  local time = redis.call('TIME')
  free_at = free_at + ARGV[1] * ARGV[2]
  local keep = math.max(1, math.ceil(free_at - time[1]) + 1)
  redis.call('SET', KEYS[1], string.format('%.6f', free_at), 'EX', keep)
end
"""


class RedisRateLimiter(RateLimiter):
    """Turns under one prefix, which keeps installations on one Redis apart."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._prefix = f"{{{prefix}}}:rate:"
        self._take = redis.register_script(_TAKE)
        self._correct = redis.register_script(_CORRECT)

    async def take(self, rate: Rate, units: int, longest_wait: float) -> float:
        try:
            wait = await self._take(
                keys=[self._prefix + rate.name],
                args=[units, rate.seconds_each, rate.burst_seconds, longest_wait],
            )
        except RedisError as error:
            raise RateLimiterUnavailable(f"Redis is away: {error}") from error
        return float(wait)

    async def correct(self, rate: Rate, units: int) -> None:
        if not self.possible(units):
            return
        try:
            await self._correct(keys=[self._prefix + rate.name], args=[units, rate.seconds_each])
        except RedisError as error:
            _log.warning("a rate is not corrected", extra={"error": str(error)})
