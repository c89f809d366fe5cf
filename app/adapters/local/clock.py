"""The machine's clock and randomness."""

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from app.ports.clock import Clock

monotonic: Callable[[], float] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic
)
"""Seconds of a clock that nobody sets; on Linux it runs on while the machine sleeps."""


class SystemClock(Clock):
    def now(self) -> datetime:
        return datetime.now(UTC)

    def entropy(self) -> bytes:
        return os.urandom(10)
