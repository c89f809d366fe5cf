"""Listen to the fleet as long as the process lives, and know since when nothing was heard."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from app.domain.model.errors import Unavailable
from app.domain.use_cases.fleet import Fleet, Monotonic
from app.ports.fleet import FleetFeed

_SILENCE = 4.0
"""Seconds without a word after which we ask whether the log answers at all."""
_TO_ARRIVE = 1.5
"""Seconds in which everything said before must have been heard."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FollowFleet:
    fleet: Fleet
    feed: FleetFeed
    ping: Callable[[], Awaitable[None]]
    """Returns if the log answers, else raises `LogUnavailable`."""
    monotonic: Monotonic

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._ask_while_silent())

    async def _listen(self) -> None:
        heard = self.feed.heard()
        async with aclosing(heard):  # type: ignore[type-var]  # it ends when we do
            async for each in heard:
                await self.fleet.hear(each)

    async def _ask_while_silent(self) -> None:
        """Silence says that there is no worker only where the log answers."""
        while True:
            await asyncio.sleep(1)
            now = self.monotonic()
            if self.fleet.in_touch_at is not None and now - self.fleet.in_touch_at < _SILENCE:
                continue
            try:
                await self.ping()
            except Unavailable as away:
                _log.debug("nobody is heard, and the log is away: %s", away.message)
                continue
            await asyncio.sleep(_TO_ARRIVE)
            self.fleet.in_touch(now)
