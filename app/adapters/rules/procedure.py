"""What a procedure is: code that works a text out into a draft, the same one every time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from pydantic import JsonValue

from app.domain.model.events import Artifact


@dataclass(frozen=True, slots=True)
class Draft:
    """What a procedure worked out; the agent's template makes a document of `output`."""

    output: dict[str, JsonValue]
    summary: str
    """What was found, in one line for whoever watches the run."""
    files: tuple[Artifact, ...] = ()


class Stopped(Exception):
    """The run was canceled, or is out of time, and what is worked out is of no use any more."""


_stop: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def stopped_by(stop: threading.Event) -> Iterator[None]:
    """Have `heed_stop` raise within, once `stop` is set."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def heed_stop() -> None:
    """Raise `Stopped` where the run shall end; called between the steps of what takes long."""
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise Stopped


Procedure = Callable[[str, dict[str, JsonValue]], Draft]
"""Takes the input's text and the task's parameters. No clock, no randomness, no network."""
