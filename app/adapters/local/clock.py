"""The machine's clock and randomness."""

import os
from datetime import UTC, datetime

from app.ports.clock import Clock


class SystemClock(Clock):
    def now(self) -> datetime:
        return datetime.now(UTC)

    def entropy(self) -> bytes:
        return os.urandom(10)
