"""How a gateway stops: first it is out of service for who asks, then it lets nobody wait on."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.requests import Request

T = TypeVar("T")


class Draining:
    """Each step is taken once and never taken back."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self.announced = False
        """Whether readiness says no, and connections end with their next answer."""

    def announce(self) -> None:
        """Say that traffic should go elsewhere, and serve what comes all the same."""
        self.announced = True

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    def begin(self) -> None:
        """Streams end, and whoever waits is answered with what there is."""
        self.announce()
        self._begun.set()

    async def sleep(self, seconds: float, news: asyncio.Event) -> None:
        """Sleep until there is news, the gateway drains or the time is over."""
        first = (asyncio.ensure_future(each.wait()) for each in (news, self._begun))
        await _first_of(*first, timeout=seconds)

    async def unless(self, request: Request, waiting: Coroutine[Any, Any, T]) -> T | None:
        """What a wait brings, or None where the gateway drains or the client leaves before."""
        work = asyncio.ensure_future(waiting)
        left = asyncio.ensure_future(_disconnected(request))
        await _first_of(work, left, asyncio.ensure_future(self._begun.wait()))
        return None if work.cancelled() else work.result()

    @asynccontextmanager
    async def stopping(self, request: Request) -> AsyncIterator[asyncio.Event]:
        """An event for long work to look at: set when the gateway drains or the client leaves."""
        stop = asyncio.Event()
        waits = (asyncio.ensure_future(each) for each in (_disconnected(request), self._wait()))
        told = asyncio.ensure_future(_first_of(*waits))
        told.add_done_callback(lambda _: stop.set())
        try:
            yield stop
        finally:
            told.cancel()
            await asyncio.gather(told, return_exceptions=True)

    async def _wait(self) -> None:
        await self._begun.wait()


async def _first_of(*waits: "asyncio.Future[Any]", timeout: float | None = None) -> None:  # noqa: ASYNC109
    """Return when one is done; the others are cancelled, and over, by then."""
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
        await asyncio.wait(waits)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
