"""A ledger in Redis: one script books on all accounts or on none.

An account is a hash: what is booked in `tokens`, `calls` and `nano`, and each reservation that is
not settled in a field of its own, so that asking twice, after a broken connection, books once.
"""

import logging
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.domain.model.budgets import BudgetExceeded, Spend, refusal, require_possible
from app.ports.ledger import Account, Ledger, LedgerUnavailable, Reservation

_log = logging.getLogger(__name__)

_FIELDS = ("tokens", "calls", "nano")
_NO_LIMIT = -1

_RESERVE = """
local fields, open = {'tokens', 'calls', 'nano'}, 'open:' .. ARGV[1]
if redis.call('HEXISTS', KEYS[1], open) == 1 then return {0} end
for i, key in ipairs(KEYS) do
  local booked = redis.call('HMGET', key, unpack(fields))
  for j = 1, 3 do
    local limit = tonumber(ARGV[4 * i + j])
    if limit >= 0 and tonumber(booked[j] or 0) + tonumber(ARGV[1 + j]) > limit then
      return {i, booked[1] or 0, booked[2] or 0, booked[3] or 0}
    end
  end
end
for i, key in ipairs(KEYS) do
  for j, field in ipairs(fields) do redis.call('HINCRBY', key, field, ARGV[1 + j]) end
  redis.call('HSET', key, open, ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
  redis.call('EXPIRE', key, ARGV[4 * i + 4])
end
return {0}
"""

_SETTLE = """
local fields, open = {'tokens', 'calls', 'nano'}, 'open:' .. ARGV[1]
for _, key in ipairs(KEYS) do
  local reserved = redis.call('HGET', key, open)
  if reserved then
    redis.call('HDEL', key, open)
    local j = 1
    for was in string.gmatch(reserved, '%d+') do
      local change = tonumber(ARGV[1 + j]) - tonumber(was)
      redis.call('HINCRBY', key, fields[j], string.format('%.0f', change))
      j = j + 1
    end
  end
end
"""


class RedisLedger(Ledger):
    """Accounts under one prefix, which keeps installations on one Redis apart."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = f"{{{prefix}}}:ledger:"  # the braces keep all accounts in one slot
        self._reserve = redis.register_script(_RESERVE)
        self._settle = redis.register_script(_SETTLE)

    async def reserve(self, reservation: Reservation) -> None:
        call = reservation.spend
        require_possible(call)
        for account in reservation.accounts if call.nano_usd is None else ():
            if account.budget.cost_usd is not None:
                raise _refused(account, Spend(), call)
        limits = [word for account in reservation.accounts for word in _limits(account)]
        try:
            which, *booked = await self._reserve(
                keys=self._keys(reservation), args=[reservation.id, *_amounts(call), *limits]
            )
        except RedisError as error:
            raise LedgerUnavailable(f"budgets cannot be kept, as Redis is away: {error}") from error
        if which:
            raise _refused(reservation.accounts[which - 1], Spend(*map(int, booked)), call)

    async def settle(self, reservation: Reservation, spent: Spend) -> None:
        spent = spent if spent.possible else reservation.spend
        try:
            await self._settle(
                keys=self._keys(reservation), args=[reservation.id, *_amounts(spent)]
            )
        except RedisError as error:
            _log.warning("a model call stays booked as estimated", extra={"error": str(error)})

    async def spent(self, names: Sequence[str]) -> list[Spend]:
        try:
            async with self._redis.pipeline(transaction=False) as asking:
                for name in names:
                    asking.hmget(self._prefix + name, _FIELDS)
                found = await asking.execute()
        except RedisError as error:
            raise LedgerUnavailable(f"budgets cannot be read, as Redis is away: {error}") from error
        return [Spend(*(int(value or 0) for value in values)) for values in found]

    def _keys(self, reservation: Reservation) -> list[str]:
        return [self._prefix + account.name for account in reservation.accounts]


def _refused(account: Account, spent: Spend, call: Spend) -> BudgetExceeded:
    words = refusal(account.owner, account.budget, spent, call)
    return BudgetExceeded(words or f"{account.owner} has spent its budget")


def _amounts(spend: Spend) -> list[int]:
    return [spend.tokens, spend.model_calls, spend.nano_usd or 0]


def _limits(account: Account) -> list[int]:
    budget = account.budget
    limits = (budget.tokens, budget.model_calls, budget.nano_usd)
    return [*(_NO_LIMIT if limit is None else limit for limit in limits), account.keep_seconds]
