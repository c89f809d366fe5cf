"""Measures how long something takes, whatever else the machine has to do meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_TURN = 0.01
_LONGEST = 0.05


@asynccontextmanager
async def own_time() -> AsyncIterator[Callable[[], float]]:
    """The seconds since then in which our event loop had its turns.

    To wait for something counts as it lasts; to be kept from running by the machine does not.
    """
    passed = 0.0

    async def count() -> None:
        nonlocal passed
        while True:
            began = time.monotonic()
            await asyncio.sleep(_TURN)
            passed += min(time.monotonic() - began, _LONGEST)

    counting = asyncio.create_task(count())
    try:
        yield lambda: passed
    finally:
        counting.cancel()
