"""A worker is killed in the middle of 40 tasks: what is lost, what runs again, and when."""

import asyncio
import random
import time
from collections.abc import Sequence

from benchmarks.figures import Extent, Figures
from benchmarks.ledger import Ledger, Line
from benchmarks.measure import new_key, new_ledger, until, working
from benchmarks.process import Worker, ended_afterwards
from benchmarks.system import Sleep, System

SLOTS = 16
TASKS = 40


async def crash(system: System, extent: Extent, at: float, *, returns: bool = True) -> Figures:
    """Kill the worker `at` seconds after submitting.

    A new one is started at once; or, if it never `returns`, a second one was there all the time.
    """
    ledger = new_ledger(system)
    with ended_afterwards() as workers:
        await system.fresh()
        victim = await working(system, SLOTS, ledger, workers)
        if not returns:
            await _shared(system, ledger, workers)
        await asyncio.sleep(1)
        chance = random.Random(7)
        sleeps = [Sleep(new_key(), round(chance.uniform(1, 5), 2)) for _ in range(TASKS)]
        began = time.time()
        await system.submit(sleeps)
        await asyncio.sleep(max(0, began + at - time.time()))
        victim.kill()
        killed_at = time.time()
        if returns:
            workers.append(Worker(system, SLOTS, ledger))
        keys = [sleep.key for sleep in sleeps]
        await until(lambda: len(ledger.ended(keys)) == TASKS, extent.patience)
        await asyncio.sleep(1)  # what runs needlessly again has begun by now
        workers[-1].refuse_dead()
    return _told([x for x in ledger.lines() if x.key in set(keys)], victim.group, killed_at)


async def _shared(system: System, ledger: Ledger, workers: list[Worker]) -> None:
    """Start a second worker and give it time to get its share, which may be nothing yet."""
    second = Worker(system, SLOTS, ledger)
    workers.append(second)

    def has_run() -> bool:
        return any(line.group == second.group for line in ledger.lines())

    for _ in range(15):
        await system.submit([Sleep(new_key(), 0) for _ in range(SLOTS)])
        if await until(has_run, 1):
            return
        second.refuse_dead()


def _told(lines: Sequence[Line], victim: int, killed_at: float) -> Figures:
    before = [line for line in lines if line.at <= killed_at]
    completed = {line.key for line in before if line.what == "ended"}
    theirs = {line.key for line in before if line.what == "began" and line.group == victim}
    interrupted = theirs - completed
    later = [line for line in lines if line.at > killed_at and line.what == "began"]
    ended: dict[str, float] = {}
    for line in lines:
        if line.what == "ended":
            ended.setdefault(line.key, line.at)
    again = {
        line.key
        for line in lines
        if line.what == "began" and line.at > ended.get(line.key, line.at)
    }
    return {
        "interrupted": len(interrupted),
        "missing": TASKS - len(ended),
        "again": len(again),
        "after_s": min(
            (line.at - killed_at for line in later if line.key in interrupted), default=None
        ),
        "all_after_s": _last({x.key: x.at - killed_at for x in reversed(later)}, interrupted),
    }


def _last(first_begins: dict[str, float], interrupted: set[str]) -> float | None:
    """When the last interrupted task ran again, if each one did."""
    if not interrupted or interrupted - first_begins.keys():
        return None
    return max(first_begins[key] for key in interrupted)
