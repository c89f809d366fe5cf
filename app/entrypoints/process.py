"""How every process of ours begins and ends."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

_LOOK_EVERY = 1.0
"""Seconds between two looks at what is ours of the process."""
_TO_END = 5.0
"""Seconds for what was left running, when a process has come to its end."""
_FORKED = 70
"""Exit code of a copy of this process that nobody wanted."""
_log = logging.getLogger(__name__)

Stop = asyncio.Event
"""Set when the process has been asked to end."""


def run_until_stopped(serve: Callable[[Stop], Coroutine[Any, Any, None]]) -> int:
    """Run a process to its end; SIGTERM and Ctrl-C ask it to stop, a second one insists.

    Its exit code is 1 where code that runs in it has canceled it.
    """
    loop = (_loop_factory() or asyncio.new_event_loop)()
    asyncio.set_event_loop(loop)
    _end_copies_of(loop)
    stop = Stop()
    signals = _Signals(loop, stop)
    main = loop.create_task(serve(stop))
    signals.heed(main)
    try:
        _run_to_the_end(loop, main)
        main.result()
    except asyncio.CancelledError:
        if not stop.is_set():
            _log.error("this process was canceled by code that runs in it")
            return 1
    finally:
        _close(loop)
    return 0


def _run_to_the_end(loop: asyncio.AbstractEventLoop, main: "asyncio.Task[None]") -> None:
    """Whatever else runs there may call `sys.exit` or stop the loop: it is not theirs."""
    while not main.done():
        try:
            loop.run_until_complete(main)
        except (SystemExit, KeyboardInterrupt) as asked:
            if main.done():
                return
            _log.error("code that runs here wanted to end this process, which goes on: %r", asked)
        except RuntimeError:
            if main.done() or loop.is_closed():
                return
            _log.error("code that runs here stopped the event loop, which goes on")
        except asyncio.CancelledError:
            return


def leave_threads_behind(code: int) -> None:
    """End this process now where threads of others would keep it from ending, else return."""
    until = time.monotonic() + _TO_END
    for thread in _that_keep_us():
        thread.join(max(0.0, until - time.monotonic()))
    if left := _that_keep_us():
        names = ", ".join(thread.name for thread in left)
        _log.warning("threads that run on are left behind: %s", names)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def _that_keep_us() -> list[threading.Thread]:
    own = threading.current_thread()
    return [each for each in threading.enumerate() if each is not own and not each.daemon]


def _end_copies_of(loop: asyncio.AbstractEventLoop) -> None:
    """Let no `os.fork` of a coroutine go on as a second process on the same connections.

    A child that ends by itself or becomes another program never comes back to the loop.
    """
    thread = threading.get_ident()

    def end() -> None:
        if threading.get_ident() == thread and not loop.is_closed():
            loop.call_soon(os._exit, _FORKED)

    os.register_at_fork(after_in_child=end)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Stop what is left on the loop; threads that do not end are not waited for."""
    try:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_TO_END))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class _Signals:
    """Hears SIGTERM and Ctrl-C, also after code that runs here has taken them over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stop: Stop) -> None:
        self._loop = loop
        self._stop = stop
        self._ours: dict[signal.Signals, object] = {}

    def heed(self, main: "asyncio.Task[None]") -> None:
        """Listen, and look every second whether we still do."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if number in self._ours and signal.getsignal(number) == self._ours[number]:
                continue
            if number in self._ours:
                _log.error("code that runs here took %s over, which is put back", number.name)
                self._loop.remove_signal_handler(number)
            self._loop.add_signal_handler(number, _ask, self._stop, main)
            self._ours[number] = signal.getsignal(number)
        self._loop.call_later(_LOOK_EVERY, self.heed, main)


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


def _ask(stop: Stop, main: "asyncio.Task[None]") -> None:
    if stop.is_set():
        main.cancel()
    stop.set()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not on every system
    except ImportError:
        return None
    return uvloop.new_event_loop
