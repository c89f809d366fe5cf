"""Crews without CrewAI's side effects, and one run's settings of CrewAI's own switches."""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from crewai import Crew
from crewai.events.event_context import (
    EventContextConfig,
    MismatchBehavior,
    _event_context_config,
)
from crewai.events.event_listener import EventListener
from crewai.events.stream_context import StreamSink, add_stream_sink
from crewai.hooks.dispatch import InterceptionPoint, scoped_hooks
from crewai.llms.retry import _active_llm_rate_limit_retry
from crewai_core.lock_store import set_lock_backend
from pydantic import PrivateAttr

from app.adapters.crewai.scope import STOPPED, RunScope

_SILENT = EventContextConfig(
    mismatch_behavior=MismatchBehavior.SILENT, empty_pop_behavior=MismatchBehavior.SILENT
)
_locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)


@contextmanager
def _lock_in_process(name: str, *, timeout: float = 120) -> Iterator[None]:
    lock = _locks[name]
    if not lock.acquire(timeout=timeout):
        raise TimeoutError(name)
    try:
        yield
    finally:
        lock.release()


# CrewAI's own is a file the whole machine shares, polled four times a second, or a Redis lock
set_lock_backend(_lock_in_process)


# a stopped run says why by itself; CrewAI would log it as an error at every level it passes
logging.getLogger("crewai.flow.runtime").addFilter(
    lambda record: STOPPED not in record.getMessage()
)


class NoRecords:
    """Stands where CrewAI writes every prompt and output of the latest crew into a database."""

    def update(self, *_: Any, **__: Any) -> None: ...

    def add(self, *_: Any, **__: Any) -> None: ...

    def reset(self) -> None: ...

    def load(self) -> list[Any]:
        return []


class QuietCrew(Crew):
    """A crew that keeps no records."""

    _task_output_handler: Any = PrivateAttr(default_factory=NoRecords)


def quieted(crew: Crew) -> Crew:
    """Somebody's own crew, which from now on keeps no records either."""
    crew._task_output_handler = NoRecords()  # type: ignore[assignment]  # noqa: SLF001 - no public way
    crew.verbose = False
    EventListener().formatter.verbose = False  # one for all crews, as the latest one wished
    return crew


@contextmanager
def run_settings(scope: RunScope, sink: StreamSink) -> Iterator[None]:
    """Let one run's events reach its sink, retry nothing, and print nothing.

    All of it is bound to the context of the thread, so runs side by side do not meet.
    """
    _event_context_config.set(_SILENT)
    _active_llm_rate_limit_retry.set(True)  # "a retry is already under way"
    add_stream_sink(sink)
    points = (InterceptionPoint.PRE_MODEL_CALL, InterceptionPoint.PRE_TOOL_CALL)
    with scoped_hooks({point: [scope.check] for point in points}):
        yield
