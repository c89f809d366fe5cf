"""How far the views are behind the log: its ends compared with the offsets the views are at.

It asks the log itself, not the feed, so a feed that hangs shows as well as one that is slow.
"""

import asyncio
from time import monotonic

from prometheus_client import CollectorRegistry, Gauge

from app.ports.event_log import EventFeed, Offsets, StoredOffsets

_EVERY = 5.0
_WHILE_BEHIND = 2.0
_TO_ANSWER = 10.0


class Behind:
    """Looks every few seconds, for some 5 ms of work; what it says is true of all projectors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._missing: Offsets | None = None
        """What the log had when the views were first seen to lack some of it."""
        self._since: float | None = monotonic()
        """When that was, or since when nobody could tell; None when they lack nothing."""
        self.trouble: str | None = None
        """Why the last look saw nothing."""
        self._messages = Gauge(
            "crewline_projection_behind_messages",
            "Messages on the log that are not in the views yet.",
            registry=registry,
        )
        seconds = Gauge(
            "crewline_projection_behind_seconds",
            "For how long the views have lacked something that is on the log, or for how long "
            "that cannot be told; 0 when they lack nothing.",
            registry=registry,
        )
        seconds.set_function(self.seconds)

    def seconds(self) -> float:
        return 0.0 if self._since is None else monotonic() - self._since

    async def watch(self, feed: EventFeed, stored: StoredOffsets) -> None:
        """Look until cancelled."""
        while True:
            looked_at = monotonic()
            try:
                async with asyncio.timeout(_TO_ANSWER):
                    await self.look(feed, stored)
            except Exception as error:  # noqa: BLE001  whatever it is, nothing can be told
                self.trouble = str(error) or f"no answer within {_TO_ANSWER:g} seconds"
                self._since = looked_at if self._since is None else self._since
            else:
                self.trouble = None
            await asyncio.sleep(_EVERY if self._since is None else _WHILE_BEHIND)

    async def look(self, feed: EventFeed, stored: StoredOffsets) -> None:
        """Compare once."""
        looked_at = monotonic()
        ends = await feed.ends()
        offsets = await stored.offsets()
        messages = _lacking(ends, offsets)
        self._messages.set(messages)
        if self._missing is not None and _lacking(self._missing, offsets):
            return  # still the same
        could_not_tell = self._since if self._missing is None else None
        self._missing = ends if messages else None
        self._since = (could_not_tell or looked_at) if messages else None


def _lacking(ends: Offsets, offsets: Offsets) -> int:
    """How many messages before these ends the offsets have not passed."""
    return sum(max(end - offsets.get(shard, 0), 0) for shard, end in ends.items())
