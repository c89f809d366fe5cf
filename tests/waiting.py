"""Waiting for what no event announces: another process, a broker, a database."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool], within: float = 20) -> None:
    """Return as soon as the condition holds; raise `TimeoutError` after `within` seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  # nothing to await: that is what this is for
            await asyncio.sleep(0.005)


async def until_true(ask: Callable[[], Awaitable[bool]], within: float = 20) -> None:
    """Like `until`, for a condition that has to be asked for."""
    async with asyncio.timeout(within):
        while not await ask():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
