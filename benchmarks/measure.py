"""What is measured of one system while nothing goes wrong."""

import asyncio
import itertools
import time
from collections.abc import Callable

from benchmarks.figures import Extent, Figures
from benchmarks.ledger import Ledger
from benchmarks.load import open_loop
from benchmarks.process import Worker, ended_afterwards
from benchmarks.system import Sleep, System

START_WITHIN = 60.0

_numbers = itertools.count()


def new_ledger(system: System) -> Ledger:
    return Ledger(system.folder / f"ledger-{next(_numbers)}")


def new_key() -> str:
    return f"task-{next(_numbers)}"


async def until(condition: Callable[[], bool], within: float) -> bool:
    """Wait for what no event announces; whether it came to pass in time."""
    ends = time.monotonic() + within
    while not condition():
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(0.01)
    return True


async def working(system: System, slots: int, ledger: Ledger, workers: list[Worker]) -> Worker:
    """Start a worker and return once it has run a task."""
    worker = Worker(system, slots, ledger)
    workers.append(worker)
    key = new_key()
    await system.submit([Sleep(key, 0)])
    await _has_run(worker, ledger, key)
    return worker


async def start_and_speed(system: System, extent: Extent) -> Figures:
    """From `exec` to the first task; memory 3 s later; latency at 100/s; no-ops a second."""
    ledger = new_ledger(system)
    with ended_afterwards() as workers:
        await system.fresh()
        figures: Figures = {}
        if system.runs_sleeps:
            key = new_key()
            await system.submit([Sleep(key, 0)])
            worker = Worker(system, system.slots, ledger)
            workers.append(worker)
            figures["start_s"] = await _has_run(worker, ledger, key) - worker.started_at
        else:
            worker = Worker(system, system.slots, ledger)
            workers.append(worker)
            await asyncio.wait_for(system.ask(), START_WITHIN)
            figures["start_s"] = time.time() - worker.started_at
        await asyncio.sleep(3)
        figures["memory_mb"] = worker.memory()
        for _ in range(30):
            await asyncio.wait_for(system.ask(), 30)
        latency = await open_loop(lambda _: system.ask(), seconds=extent.seconds)
        figures |= {"p50_ms": latency.p50, "p99_ms": latency.p99, "failed": latency.failed}
        figures["per_second"] = await throughput(system, extent)
        worker.refuse_dead()
    return figures


async def throughput(system: System, extent: Extent) -> float:
    """No-ops a second, results known: first a few to know how many make a fair load."""
    began = time.perf_counter()
    tried = await system.flood(500, extent.seconds)
    rate = tried / (time.perf_counter() - began)
    tasks = min(40_000, max(200, int(rate * extent.seconds)))
    began = time.perf_counter()
    done = await system.flood(tasks, 2 * extent.seconds)
    return done / (time.perf_counter() - began)


async def side_by_side(system: System, extent: Extent, tasks: int = 64) -> Figures:
    """Tasks of a second each, as many as slots, all in one ordered part of the queue."""
    ledger = new_ledger(system)
    with ended_afterwards() as workers:
        await system.fresh()
        worker = await working(system, tasks, ledger, workers)
        await asyncio.sleep(1)
        keys = [new_key() for _ in range(tasks)]
        began = time.time()
        await system.submit([Sleep(key, 1.0) for key in keys], one_shard=True)
        await until(lambda: len(ledger.ended(keys)) == tasks, extent.patience)
        ended = ledger.ended(keys)
        worker.refuse_dead()
    took = max(ended.values()) - began if len(ended) == tasks else None
    return {"side_by_side_s": took, "side_by_side_done": len(ended)}


async def _has_run(worker: Worker, ledger: Ledger, key: str) -> float:
    """When the task began, once it has."""

    def begun() -> bool:
        worker.refuse_dead()
        return ledger.began(key) is not None

    if not await until(begun, START_WITHIN):
        raise RuntimeError(f"no task ran within {START_WITHIN:.0f} s")
    return ledger.began(key) or 0.0
