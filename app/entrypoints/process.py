"""How every process of ours begins and ends."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

Stop = asyncio.Event
"""Set when the process has been asked to end."""


def run_until_stopped(serve: Callable[[Stop], Coroutine[Any, Any, None]]) -> int:
    """Run a process to its end; SIGTERM and Ctrl-C ask it to stop, a second one insists."""

    async def main() -> None:
        stop = Stop()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _ask, stop, asyncio.current_task())
        await serve(stop)

    with (
        contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt),
        asyncio.Runner(loop_factory=_loop_factory()) as runner,
    ):
        runner.run(main())
    return 0


async def until_stopped(work: Awaitable[None], stop: Stop) -> None:
    """Do the work until it ends or the process is asked to stop, which cancels it."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for each in (working, stopping):
            each.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def spare_the_collector() -> None:
    """Keep the garbage collector from going through all that was loaded, time after time.

    To be called when a process has all it needs. It is felt in every short task and request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _ask(stop: Stop, main: "asyncio.Task[None] | None") -> None:
    if stop.is_set() and main:
        main.cancel()
    stop.set()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not on every system
    except ImportError:
        return None
    return uvloop.new_event_loop
