"""What ties a crew in its thread to the event loop it serves.

CrewAI is synchronous at heart: it calls models and tools from threads and waits. Here those calls
run on the event loop instead, where they can be cancelled: the connection is closed, the thread
wakes with `Stopped`, which CrewAI lets pass through all of its retries, and the crew unwinds.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, NoReturn, TypeVar

from crewai.hooks.dispatch import HookAborted

_T = TypeVar("_T")


STOPPED = "the run was stopped"


class Stopped(HookAborted):
    """Ends the crew. The words say nothing about the cause, as CrewAI acts on what it reads."""

    def __init__(self) -> None:
        super().__init__(STOPPED, source="crewline")


class RunScope:
    """One run: what it waits for, and the first thing that went wrong in it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._stopped = False
        self.failure: Exception | None = None
        """The typed cause of the end, which CrewAI itself would only pass on as text."""

    def wait_for(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run this on the event loop and return its outcome; called from the crew's threads."""
        with self._lock:
            if self._stopped:
                raise Stopped
            future = asyncio.run_coroutine_threadsafe(work(), self._loop)
            self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:
            raise Stopped from None
        finally:
            with self._lock:
                self._waiting.discard(future)

    def fail(self, failure: Exception) -> NoReturn:
        """End the run for this reason, unless it has already ended for another."""
        if self.failure is None:
            self.failure = failure
        self.stop()
        raise Stopped from failure

    def stop(self) -> None:
        """Cancel what the crew waits for, and let it begin nothing more."""
        with self._lock:
            self._stopped = True
            waiting = list(self._waiting)
        for future in waiting:
            future.cancel()

    def check(self, _: object) -> None:
        """Raise `Stopped` if the run is over: a hook before each model and tool call."""
        if self._stopped:
            raise Stopped
