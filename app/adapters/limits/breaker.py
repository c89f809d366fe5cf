"""Stops asking a provider that cannot answer, and finds out with one call when it can again.

Closed, every call passes. After so many failures in a row it opens and refuses every call at once,
for a time. Then one call passes as a probe: if the provider answers, it closes, else it stays open
for as long again. A provider that refuses us, as with 429 or 401, does answer.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.ports.chat_model import ModelFailed, ModelUnavailable, ModelUnreachable

_log = logging.getLogger(__name__)

_WHILE_PROBING = 1.0
"""Seconds after which to come back while a probe is on its way."""


class CircuitBreaker:
    """One provider's; `failures` in a row open it for `seconds`."""

    def __init__(
        self,
        provider: str,
        failures: int,
        seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._most = failures
        self._seconds = seconds
        self._now = now
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    def check(self) -> None:
        """Return if a call may be made now, else raise `ModelUnavailable`."""
        if self._opened_at is None:
            return
        left = self._opened_at + self._seconds - self._now()
        if left <= 0 and self._probing:
            left = _WHILE_PROBING
        if left > 0:
            raise ModelUnavailable(
                f"{self._provider} has failed {self._failures} times in a row and is not asked "
                f"for another {left:.1f} s",
                retry_after=left,
                asked=False,
            )

    @contextmanager
    def call(self) -> Iterator[None]:
        """Make a call inside, which may raise; raise `ModelUnavailable` where none may be made."""
        self.check()
        probe = self._opened_at is not None
        self._probing = self._probing or probe
        try:
            yield
        except ModelFailed as failure:
            if _is_no_answer(failure):
                self._failed(probe)
            else:
                self._answered()
            raise
        else:
            self._answered()
        finally:
            if probe:  # one that was cut off says nothing: the next call is a probe again
                self._probing = False

    def _failed(self, probe: bool) -> None:
        if self._opened_at is not None and not probe:
            return  # begun before it opened
        self._failures += 1
        if probe or self._failures >= self._most:
            self._opened_at = self._now()
            about = {"provider": self._provider, "seconds": self._seconds}
            _log.warning("a provider does not answer and is not asked for a while", extra=about)

    def _answered(self) -> None:
        if self._opened_at is not None:
            _log.info("a provider answers again", extra={"provider": self._provider})
        self._failures, self._opened_at = 0, None


def _is_no_answer(failure: ModelFailed) -> bool:
    """Whether the provider itself failed: away, broken or silent."""
    if isinstance(failure, ModelUnavailable):
        return failure.status is None or failure.status >= 500
    return isinstance(failure, ModelUnreachable)
