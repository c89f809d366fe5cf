"""Blocking work of a run, for the adapters that run agents."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import TypeVar

from app.domain.model.readable import words

_T = TypeVar("_T")


def in_own_thread(name: str, work: Callable[[], _T]) -> "asyncio.Future[_T]":
    """Do it in a thread that nobody shares; what it raises is raised where it is awaited.

    Work that hangs holds up neither other work nor the end of the process.
    """
    done: Future[_T] = Future()

    def target() -> None:
        try:
            done.set_result(work())
        except StopIteration as error:  # no future takes it, and nobody would hear
            done.set_exception(RuntimeError(words(error)))
        except BaseException as error:  # noqa: BLE001  # whoever waits raises it
            done.set_exception(error)

    threading.Thread(target=copy_context().run, args=(target,), name=name, daemon=True).start()
    return asyncio.wrap_future(done)
