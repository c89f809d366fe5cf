"""Watches an event loop from a thread of its own: when nothing gets a turn on it, and by whom.

A coroutine that does not await holds up all that shares its loop: other tasks, heartbeats, the
membership of its group. From the loop itself that cannot be seen before it is over.
"""

import asyncio
import logging
import sys
import sysconfig
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from app.adapters.local.clock import monotonic
from app.domain.model.ids import TaskId
from app.ports.agent_runtime import NamedRun, read_run_name

_TICK = 0.25
"""Seconds between two looks."""
_LATE = 1.0
"""Seconds without a turn after which a loop is blocked."""
_REMEMBERED = 4_000
"""Looks at a blocked loop that are kept: a thousand seconds."""
_LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
_log = logging.getLogger(__name__)

Note = Callable[[str, float], None]
"""Hears which agent blocked the loop, empty where that is not known, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    run: NamedRun | None
    """The run whose turn it was, where it was one."""


class LoopWatch:
    def __init__(self, note: Note) -> None:
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._thread_of_loop = threading.get_ident()
        self._over = threading.Event()
        self._turn_at = monotonic()
        self._looks: deque[_Look] = deque(maxlen=_REMEMBERED)
        """At the loop while it was blocked."""
        self._turn = self._loop.call_soon(self._take_turn)

    def culprit(self, since: float) -> TaskId | None:
        """The task whose run has held the loop for most of the time since then, if one has.

        None where that cannot be told: a frozen process, code that lets no other thread run.
        """
        looks = [look.run for look in self._looks if look.at >= since]
        if len(looks) * _TICK < (monotonic() - since) / 2:
            return None
        runs = Counter(run for run in looks if run is not None)
        run, count = next(iter(runs.most_common(1)), (None, 0))
        return run.task_id if run is not None and count > len(looks) / 2 else None

    def watch(self) -> None:
        """Look until `end`; for a thread."""
        blocked_since, announced = 0.0, False
        run: NamedRun | None = None
        while not self._over.wait(_TICK):
            turn_at, now = self._turn_at, monotonic()
            if turn_at == blocked_since:
                if not announced:
                    announced, run = True, self._announce(now - turn_at)
                self._looks.append(_Look(now, self._whose_turn()))
                continue
            if announced:
                self._note(run.agent if run else "", turn_at - blocked_since)
                _log.warning("the event loop runs again after %.1f s", turn_at - blocked_since)
                announced = False
            # seen twice: where this process did not run, nor did this thread, nobody blocked it
            blocked_since = turn_at if now - turn_at >= _LATE else 0.0
            if blocked_since:
                self._looks.append(_Look(now, self._whose_turn()))

    def end(self) -> None:
        self._over.set()
        self._turn.cancel()

    def _take_turn(self) -> None:
        self._turn_at = monotonic()
        self._turn = self._loop.call_later(_TICK, self._take_turn)

    def _whose_turn(self) -> NamedRun | None:
        task = asyncio.current_task(self._loop)
        return read_run_name(task.get_name()) if task else None

    def _announce(self, seconds: float) -> NamedRun | None:
        run = self._whose_turn()
        known = {"agent": run.agent, "task_id": run.task_id} if run else {}
        _log.error(
            "the event loop is blocked for %.1f s: nothing else runs here meanwhile, and what runs "
            "may be taken for dead; use await, a sync callable or `isolation: process`",
            seconds,
            extra={**known, "at": self._place()},
        )
        return run

    def _place(self) -> str:
        """Where the loop is, in people's own code if it is there."""
        frame = sys._current_frames().get(self._thread_of_loop)  # noqa: SLF001
        frames = list(_up(frame))
        own = [each for each in frames if not each.f_code.co_filename.startswith(_LIBRARIES)]
        for each in (*own, *frames):
            code = each.f_code
            return f"{code.co_filename}:{each.f_lineno} in {code.co_name}"
        return "somewhere"


@contextmanager
def watching_loop(note: Note) -> Iterator[LoopWatch]:
    """Watch the running loop as long as the context is open."""
    watch = LoopWatch(note)
    threading.Thread(target=watch.watch, name="loop-watch", daemon=True).start()
    try:
        yield watch
    finally:
        watch.end()


def _up(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
