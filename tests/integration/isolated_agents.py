"""Agents that run in processes of their own, and what they do to them."""

import asyncio
import ctypes
import gc
import os
import re
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from app.domain.model.errors import RunFailed
from app.ports.agent_runtime import RunContext, TaskInput


async def tell_everything(given: TaskInput, context: RunContext) -> dict[str, object]:
    crew = await context.begin("workflow", "crew")
    call = await context.begin("model", "gpt", crew, provider="openai")
    await context.token("Hel", call)
    await context.token("lo", call)
    await context.end(call, input_tokens=3, output_tokens=2, finish_reason="stop")
    await context.end(crew, error="tired")
    await context.report("half way", 0.5)
    await context.log("a line", "warning")
    return {
        "pid": os.getpid(),
        "attempt": context.attempt,
        "key": context.idempotency_key("pay"),
        "canceled": context.canceled,
        "text": given.text,
    }


async def say_who_it_is(given: TaskInput, context: RunContext) -> None:
    await context.report(f"{os.getpid()}")


async def hang_in_a_tool(given: TaskInput, context: RunContext) -> None:
    await context.begin("tool", "slow")
    await say_who_it_is(given, context)
    try:
        await asyncio.Event().wait()
    finally:
        await context.report("unwound")


async def heed_nothing(given: TaskInput, context: RunContext) -> None:
    await context.begin("tool", "native")
    await say_who_it_is(given, context)
    re.match("(a+)+$", "a" * 60 + "b")  # keeps the interpreter to itself, as native code may


async def crash(given: TaskInput, context: RunContext) -> None:
    await context.begin("tool", "native")
    ctypes.string_at(0)


async def leave(given: TaskInput, context: RunContext) -> None:
    os._exit(3)


async def be_killed(given: TaskInput, context: RunContext) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def raise_exit(given: TaskInput, context: RunContext) -> None:
    raise SystemExit(4)


async def cancel_itself(given: TaskInput, context: RunContext) -> None:
    raise asyncio.CancelledError


async def answer_without_end(given: TaskInput, context: RunContext) -> str:
    return "y" * 9_000_000


async def answer_at_length(given: TaskInput, context: RunContext) -> str:
    return "x" * 5_000_000


async def answer_beyond_all_bounds(given: TaskInput, context: RunContext) -> str:
    return "x" * 20_000_000


async def log_beyond_all_bounds(given: TaskInput, context: RunContext) -> None:
    await context.log("x" * 20_000_000)


async def shout(given: TaskInput, context: RunContext) -> None:
    """Announce four gigabytes, past all that would stop it, and begin to send them."""
    for sock in [each for each in gc.get_objects() if isinstance(each, socket.socket)]:
        with suppress(OSError):
            sock.sendall(b"\xff" * 4 + b"x" * 1_000)
    await asyncio.Event().wait()


async def find_it_busy(given: TaskInput, context: RunContext) -> None:
    raise RunFailed("model-busy", "try later", retryable=True, retry_after=3)


def leave_from_a_thread(given: TaskInput, context: RunContext) -> None:
    raise SystemExit(5)


async def raise_what_is_no_exception(given: TaskInput, context: RunContext) -> None:
    raise GeneratorExit


async def raise_half_a_character(given: TaskInput, context: RunContext) -> None:
    raise ValueError("half \ud83d")


async def return_half_a_character(given: TaskInput, context: RunContext) -> str:
    return "half \ud83d"


async def report_half_a_character(given: TaskInput, context: RunContext) -> None:
    await context.report("half \ud83d")


async def leave_a_process_behind(given: TaskInput, context: RunContext) -> int:
    started = await asyncio.create_subprocess_exec("sleep", "600")
    return started.pid


async def wait_with_a_process(given: TaskInput, context: RunContext) -> None:
    started = await asyncio.create_subprocess_exec("sleep", "600")
    await context.report(f"{started.pid}")
    await asyncio.Event().wait()


def end_the_process() -> None:
    """As native code that crashes when it is loaded."""
    os._exit(1)


def exit_politely() -> None:
    sys.exit("not on this machine")


def wait_for_a_word() -> None:
    words = Path(os.environ["WORDS"])
    (words / "ready").write_text(str(os.getpid()))
    (words / "ready").rename(words / "loading")
    ends_at = time.monotonic() + 30
    while not (words / "go on").exists() and time.monotonic() < ends_at:
        time.sleep(0.01)


def handle_signals_by_itself() -> None:
    """As libraries do that were written for processes of their own."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
