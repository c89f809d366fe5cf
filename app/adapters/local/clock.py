"""The machine's clock and randomness."""

import os
import time
from datetime import UTC, datetime

from app.ports.clock import Clock

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


def monotonic() -> float:
    """Seconds of a clock that nobody sets; on Linux it runs on while the machine sleeps."""
    return time.monotonic() if _SINCE_BOOT is None else time.clock_gettime(_SINCE_BOOT)


class SystemClock(Clock):
    def now(self) -> datetime:
        return datetime.now(UTC)

    def entropy(self) -> bytes:
        return os.urandom(10)
