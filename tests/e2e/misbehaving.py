"""An agent that does to its worker what the task says."""

import asyncio
import gc
import logging
import logging.config
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from app.ports.agent_runtime import RunContext, TaskInput


async def _exit() -> None:
    sys.exit(3)


async def _interrupt() -> None:
    raise KeyboardInterrupt


def _subtask_that_exits() -> object:
    return asyncio.create_task(_exit())


def _subtask_that_interrupts() -> object:
    return asyncio.create_task(_interrupt())


def _callback_that_exits() -> None:
    asyncio.get_running_loop().call_soon(sys.exit, 4)


def _loop_stop() -> None:
    asyncio.get_running_loop().stop()


def _loop_close() -> None:
    asyncio.get_running_loop().close()


def _close_streams() -> None:
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()


def _logging_of_its_own() -> None:
    logging.basicConfig(force=True, level=logging.CRITICAL)
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
    logging.disable(logging.CRITICAL)


def _lost_folder() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)


def _shallow() -> None:
    for limit in range(60, 500, 10):
        with suppress(RecursionError):  # it is refused below the depth we are at
            sys.setrecursionlimit(limit)
            return


def _no_collector() -> None:
    gc.disable()


def _deaf() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _thread_left() -> None:
    threading.Thread(target=time.sleep, args=(3_600,), name="left-by-an-agent").start()


def _executor_left() -> None:
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3_600)


def _tasks_left() -> object:
    return [asyncio.create_task(asyncio.sleep(3_600)) for _ in range(100)]


def _child_left() -> object:
    return subprocess.Popen(["sleep", "0"])


def _deep(depth: int = 0) -> int:
    return _deep(depth + 1) + 1


def _huge() -> object:
    return bytearray(10**16)


def _fork() -> None:
    os.fork()


WAYS: dict[str, Callable[[], object]] = {
    function.__name__.strip("_").replace("_", "-"): function
    for function in (
        _subtask_that_exits,
        _subtask_that_interrupts,
        _callback_that_exits,
        _loop_stop,
        _loop_close,
        _close_streams,
        _logging_of_its_own,
        _lost_folder,
        _shallow,
        _no_collector,
        _deaf,
        _thread_left,
        _executor_left,
        _tasks_left,
        _child_left,
        _deep,
        _huge,
        _fork,
    )
}
_kept: list[object] = []


async def misbehave(task: TaskInput, context: RunContext) -> str:
    _kept.append(WAYS[str(task.parameters["way"])]())
    await asyncio.sleep(0.1)
    return "done"


async def cancel_everything(task: TaskInput, context: RunContext) -> str:
    for each in asyncio.all_tasks():
        each.cancel()
    await asyncio.sleep(1)
    return "done"
