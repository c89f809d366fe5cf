"""One answer for all who ask the same at one time: a thousand askers cost as much as one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class SharedLook(Generic[Answer]):
    """Asks for all who wait; nobody is given an answer that was asked for before they came."""

    def __init__(self, ask: Callable[[], Awaitable[Answer]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[Answer] | None = None
        self._next: asyncio.Task[Answer] | None = None

    async def __call__(self) -> Answer:
        """Return an answer that was asked for from now on, or raise what the asking raises."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._run())
            return await asyncio.shield(self._asking)
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._asking))
        return await asyncio.shield(self._next)

    async def _after(self, asking: "asyncio.Task[Answer]") -> Answer:
        await asyncio.wait([asking])
        self._asking, self._next = self._next, None
        return await self._run()

    async def _run(self) -> Answer:
        return await self._ask()
