"""Whether a process lives, and whether it is of use."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from app.domain.model.errors import Unavailable
from app.entrypoints.process import Stop

Check = Callable[[], Awaitable[None]]
"""Returns if something we depend on answers, else raises `Unavailable`."""

OK = "ok"
_TO_ANSWER = 2.0
"""Seconds for one check."""


class Health:
    """What a process says of itself; it lives while it starts and while it stops."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._work: asyncio.Future[None] | None = None
        self._went_on = False
        self._goes_on: Callable[[], bool] = bool
        self._checks: Mapping[str, Check] = {}

    def watch(
        self,
        work: "asyncio.Future[None]",
        goes_on: Callable[[], bool],
        checks: Mapping[str, Check],
    ) -> None:
        """From now on the process is as well as its loop of work, and as ready as its checks say.

        `goes_on` says whether the loop has polled lately. It counts from its first yes on: to join
        a group takes as long as the group's other members let it.
        """
        self._work, self._goes_on, self._checks = work, goes_on, checks

    def dead(self) -> str | None:
        """Why the process should be started anew, or None; nobody else is asked."""
        if self._work is None or self._stop.is_set():
            return None
        if self._work.done():
            return "its loop of work has ended"
        goes_on = self._goes_on()
        stands_still = self._went_on and not goes_on
        self._went_on |= goes_on
        return "its loop of work stands still" if stands_still else None

    async def found(self) -> dict[str, str]:
        """What each check found: `ok`, or what keeps the process from work."""
        if self._stop.is_set():
            return {"process": "it is shutting down"}
        if self._work is None:
            return {"process": "it is starting"}
        if reason := self.dead():
            return {"process": reason}
        said = await asyncio.gather(*map(_ask, self._checks.values()))
        return dict(zip(self._checks, said, strict=True))


async def _ask(check: Check) -> str:
    try:
        async with asyncio.timeout(_TO_ANSWER):
            await check()
    except TimeoutError:
        return f"no answer within {_TO_ANSWER:g} seconds"
    except Unavailable as error:
        return error.message
    return OK
