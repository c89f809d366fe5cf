"""Which run the code that is executed belongs to, for whoever writes a line of a log.

It is known in all that a run awaits and in the threads that are given its context, as those of
crews are. A process that has one run only knows it everywhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from app.domain.model.ids import TaskId


class RunIdentity(NamedTuple):
    task_id: TaskId | None
    """None of a message that is no task."""
    agent: str | None
    attempt: int


_here: ContextVar[RunIdentity | None] = ContextVar("crewline_run", default=None)
_of_the_process: list[RunIdentity] = []


def current_run() -> RunIdentity | None:
    """The run this code belongs to, if it belongs to one."""
    return _here.get() or (_of_the_process[0] if _of_the_process else None)


@contextmanager
def as_run(identity: RunIdentity) -> Iterator[None]:
    """What is executed in this context belongs to the run, and what that starts or awaits."""
    token = _here.set(identity)
    try:
        yield
    finally:
        _here.reset(token)


def dedicate_process(identity: RunIdentity) -> None:
    """From now on all that this process does belongs to one run."""
    _of_the_process[:] = [identity]
