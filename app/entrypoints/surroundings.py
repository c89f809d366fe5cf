"""What a worker needs of the process it shares with agents' code, looked at and put back.

Only what would stop the worker or harm other tasks is put back. Everything else that code can do to
its process (environment variables, the umask, the locale, closed descriptors, threads) stays as it
left it: an agent that needs that has `isolation: process`.
"""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import TextIO

from app.entrypoints.logs import put_back_logging

_LOOK_EVERY = 0.5
_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
_log = logging.getLogger(__name__)


class Surroundings:
    """As they were when this was made."""

    def __init__(self) -> None:
        self._folder = os.getcwd()  # noqa: PTH109  # a folder that is gone has no Path
        self._deep = sys.getrecursionlimit()
        self._collecting = gc.isenabled()

    def put_back(self) -> Sequence[str]:
        """Put back what has changed; what that was."""
        parts: dict[str, Callable[[], bool]] = {
            "the recursion limit": self._recursion,  # first: the others need some depth
            "logging": put_back_logging,
            "the working directory": self._working_directory,
            "the garbage collector": self._collector,
            **{f"sys.{name}": _Reopened(name, number) for name, number in _STREAMS.items()},
        }
        return [what for what, put_back in parts.items() if put_back()]

    def _recursion(self) -> bool:
        """A higher one harms nobody."""
        if sys.getrecursionlimit() >= self._deep:
            return False
        sys.setrecursionlimit(self._deep)
        return True

    def _working_directory(self) -> bool:
        with suppress(OSError):
            if os.getcwd() == self._folder:  # noqa: PTH109
                return False
        try:
            os.chdir(self._folder)
        except OSError:
            return False  # it was removed
        return True

    def _collector(self) -> bool:
        if not self._collecting or gc.isenabled():
            return False
        gc.enable()
        return True


class _Reopened:
    """A standard stream that was closed; one that is only replaced, as for a while, stays."""

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._number = number

    def __call__(self) -> bool:
        stream: TextIO | None = getattr(sys, self._name)
        original: TextIO | None = getattr(sys, f"__{self._name}__")
        if stream is None or not getattr(stream, "closed", False) or original is None:
            return False
        if original.closed:
            try:
                original = open(  # noqa: SIM115
                    self._number,
                    "r" if self._name == "stdin" else "w",
                    encoding="utf-8",
                    errors="backslashreplace",
                    closefd=False,
                )
            except OSError:
                return False  # the descriptor is closed too
            setattr(sys, f"__{self._name}__", original)
        setattr(sys, self._name, original)
        return True


async def look_after(surroundings: Surroundings, at_work: Callable[[], Collection[str]]) -> None:
    """Put back what changes, and say which agents are at work then, until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        for what in surroundings.put_back():
            message = f"an agent changed {what}, which is put back"  # another one for each
            _log.error(message, extra={"at_work": sorted(set(at_work()))})
