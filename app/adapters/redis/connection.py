"""A connection to Redis that gives up soon: a model call waits for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

_PATIENCE = 2.0
"""Seconds for one answer."""
_MOST_CONNECTIONS = 16
"""More calls at once wait until one is free, instead of failing."""
_LONGEST_QUEUE = 30.0
"""Seconds of that."""


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[Redis]:
    """A client that connects when it is first used, and again after an interruption.

    Raises `ValueError`, which shows none of the URL, where that cannot be read.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_MOST_CONNECTIONS,
            timeout=_LONGEST_QUEUE,
            decode_responses=True,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 2),
            health_check_interval=30,
        )
        # a parameter that it does not know would fail at the first call
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError):  # their words may show a part of the password
        raise ValueError("not a URL of Redis; try redis://user:password@host:6379/0") from None
    async with Redis.from_pool(pool) as client:
        yield client
