"""Measures how long something takes, whatever else the machine has to do meanwhile."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.model_server import Seen

_TURN = 0.01
_LONGEST = 0.05


@asynccontextmanager
async def own_time() -> AsyncIterator[Callable[[], float]]:
    """The seconds since then in which the machine let this process run.

    A thread counts them, so that whoever blocks the event loop is not spared. To be kept from
    running by the machine does not count.
    """
    passed = 0.0
    over = threading.Event()

    def count() -> None:
        nonlocal passed
        before = time.monotonic()
        while not over.wait(_TURN):
            now = time.monotonic()
            passed += min(now - before, _LONGEST)
            before = now

    counting = threading.Thread(target=count, daemon=True)
    counting.start()
    try:
        yield lambda: passed
    finally:
        over.set()
        counting.join()


async def time_to_stop(running: "asyncio.Task[object]", asked: Seen) -> float:
    """Cancel a run: own time until it is over and the model's server is left alone by it."""
    async with own_time() as passed, asyncio.timeout(30):
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asked.abandoned.wait()
        return passed()
