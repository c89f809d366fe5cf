"""How a command ends: its exit code, and the one line it says when it went wrong."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import NoReturn

from app.domain.model.redaction import mask_secrets
from app.entrypoints.terminal import printable


class Exit(IntEnum):
    """The exit codes; scripts rely on them."""

    DONE = 0
    TASK_FAILED = 1
    """The task ended failed, canceled or rejected."""
    USAGE = 2
    UNREACHABLE = 3
    """Nobody answered, or what answered depends on something that is away."""
    REFUSED = 4
    NOT_FINISHED = 5
    """We waited, and the task still runs or asks a person something."""
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command cannot do what was asked; its text is for a person, one line per problem."""

    def __init__(self, message: str, code: Exit, problem: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.problem = problem
        """The `code` of the gateway's problem document, where it answered with one."""


def ending(state: object) -> Exit:
    """The exit code that a task's state amounts to for somebody who waited for it."""
    if state == "completed":
        return Exit.DONE
    return Exit.TASK_FAILED if state in {"failed", "canceled", "rejected"} else Exit.NOT_FINISHED


def stopping(state: object) -> Exit:
    """The exit code for somebody who wanted the task canceled and waited for that."""
    if state == "canceled":
        return Exit.DONE
    return Exit.TASK_FAILED if state in {"completed", "failed", "rejected"} else Exit.NOT_FINISHED


def complain(message: str) -> None:
    """Say it on standard error, in one line, if anybody can hear it."""
    with suppress(OSError):
        sys.stderr.write(f"crewline: {' '.join(printable(mask_secrets(message)).split())}\n")


@contextmanager
def told(on_interrupt: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Turn what goes wrong inside into one line and an exit code; never a stack trace."""
    try:
        yield
        sys.stdout.flush()
    except CommandFailed as failure:
        for line in str(failure).splitlines():
            complain(line)
        leave(failure.code)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        if advice := on_interrupt():
            complain(advice)
        leave(Exit.INTERRUPTED)
    except OSError as error:
        leave(_unwritten(error, Exit.DONE))


def leave(code: int) -> NoReturn:
    """End the process with this code, through every `finally` on the way."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        code = _unwritten(error, code)
    raise SystemExit(int(code))


def _unwritten(error: OSError, code: int) -> int:
    """The exit code where output cannot be written; any other error is raised again.

    Whoever closed a pipe has read enough, as `head` does; a full disk is a failure.
    """
    if error.errno not in {errno.EPIPE, errno.ENOSPC}:
        raise error
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # what is left would be tried again at the very end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if error.errno == errno.EPIPE:
        return code
    complain(f"cannot write: {error.strerror}")
    return Exit.USAGE
