"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta

from app.ports.clock import Clock


class MemoryClock(Clock):
    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._drawn = 0

    def now(self) -> datetime:
        return self._now

    def entropy(self) -> bytes:
        self._drawn += 1
        return self._drawn.to_bytes(10, "big")

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
