"""Tasks that run while workers come, freeze and die: each ends once, and is not run twice."""

import asyncio
import os
import signal
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.test_crash import completed, submit
from tests.waiting import until, until_true

pytestmark = [pytest.mark.kafka, pytest.mark.alone, pytest.mark.timeout(300)]

Json = dict[str, Any]
PARTITIONS = 12
TASKS = 20
"""Enough for each of two workers to get some, whatever their ids are."""
LOADED = 1.5
"""A machine that does other things at the same time."""


@pytest.fixture
def fleet(fleet: Fleet) -> Fleet:
    """With partitions enough for every worker to have some."""
    fleet.environment["CREWLINE_KAFKA__COMMAND_PARTITIONS"] = str(PARTITIONS)
    assert fleet.run("topics", "apply").returncode == 0
    return fleet


def start_worker(fleet: Fleet, name: str, slots: int = TASKS) -> None:
    options = ("--id", name, "--slots", str(slots), "--runtimes", "python", "--agents", "sleeper")
    fleet.start("worker", *options, name=name)


async def workers(fleet: Fleet, http: httpx.AsyncClient) -> dict[str, Json]:
    """The healthy ones, by name."""
    found = (await http.get(f"{fleet.url}/v1/workers")).json()
    return {each["id"]: each for each in found["items"] if each["state"] == "healthy"}


async def sharing(fleet: Fleet, http: httpx.AsyncClient, *names: str) -> dict[int, str]:
    """Who owns which of the sleepers' partitions, once these share all of them evenly."""
    owned: dict[int, str] = {}

    async def share() -> bool:
        fleet.refuse_dead()
        owned.clear()
        owned.update(await owners(fleet, http))
        shares = Counter(owned.values())
        evenly = max(shares.values(), default=0) <= PARTITIONS // len(names) + 1
        return len(owned) == PARTITIONS and set(names) == set(shares) and evenly

    await until_true(share, within=90)
    return owned


async def owners(fleet: Fleet, http: httpx.AsyncClient) -> dict[int, str]:
    """Who owns each partition of the sleepers' commands."""
    return {
        partition: name
        for name, worker in (await workers(fleet, http)).items()
        for topic in worker["topics"]
        if topic["topic"].endswith(".commands.sleeper")
        for partition in topic["partitions"]
    }


async def all_completed(
    fleet: Fleet, http: httpx.AsyncClient, tasks: set[str], within: float
) -> None:
    async def done() -> bool:
        fleet.refuse_dead()
        return await completed(fleet, http) >= tasks

    await until_true(done, within)


def counted(fleet: Fleet, what: str, tasks: set[str]) -> Counter[str]:
    return Counter(
        entry.task_id for entry in fleet.ledger if entry.what == what and entry.task_id in tasks
    )


async def test_a_third_worker_takes_its_share_and_runs_nothing_again(fleet: Fleet) -> None:
    for process in ("gateway", "projector"):
        fleet.start(process)
    for name in ("handover-1", "handover-2"):
        start_worker(fleet, name)
    await fleet.ready(within=90)
    async with httpx.AsyncClient(timeout=30) as http:
        before = await sharing(fleet, http, "handover-1", "handover-2")
        tasks = set(await asyncio.gather(*(submit(fleet, http, 50) for _ in range(12))))
        await until(lambda: len(counted(fleet, "began", tasks)) == 12, within=40)
        start_worker(fleet, "handover-3")
        after = await sharing(fleet, http, "handover-1", "handover-2", "handover-3")
        moved = {partition for partition in before if before[partition] != after[partition]}
        assert moved
        assert len(counted(fleet, "ended", tasks)) == 0
        later = {await submit(fleet, http, 0) for _ in range(6)}
        await all_completed(fleet, http, tasks | later, within=90)
    assert set(counted(fleet, "began", tasks).values()) == {1}
    assert set(counted(fleet, "ended", tasks).values()) == {1}


async def test_a_worker_that_sleeps_past_its_lease_ends_nothing_that_another_took(
    fleet: Fleet,
) -> None:
    for process in ("gateway", "projector"):
        fleet.start(process)
    for name in ("handover-1", "handover-2"):
        start_worker(fleet, name)
    await fleet.ready(within=90)
    async with httpx.AsyncClient(timeout=30) as http:
        await sharing(fleet, http, "handover-1", "handover-2")
        tasks = set(await asyncio.gather(*(submit(fleet, http, 12) for _ in range(TASKS))))
        await until(lambda: len(counted(fleet, "began", tasks)) == TASKS, within=40)
        frozen = fleet.running["handover-1"]
        os.kill(frozen.pid, signal.SIGSTOP)
        try:
            await until(lambda: 2 in counted(fleet, "began", tasks).values(), within=60)
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
        await all_completed(fleet, http, tasks, within=90)
        await sharing(fleet, http, "handover-1", "handover-2")
    assert set(counted(fleet, "ended", tasks).values()) == {1}


async def test_what_a_dead_worker_had_is_taken_over_by_another_and_sooner_by_itself(
    fleet: Fleet,
) -> None:
    for process in ("gateway", "projector"):
        fleet.start(process)
    for name in ("handover-1", "handover-2"):
        start_worker(fleet, name)
    await fleet.ready(within=90)
    async with httpx.AsyncClient(timeout=30) as http:
        await sharing(fleet, http, "handover-1", "handover-2")
        tasks = set(await asyncio.gather(*(submit(fleet, http, 8) for _ in range(TASKS))))
        await until(lambda: len(counted(fleet, "began", tasks)) == TASKS, within=40)
        fleet.kill("handover-1")
        before = fleet.ledger
        killed_at = time.time()
        await all_completed(fleet, http, tasks, within=90)
    again = [entry for entry in fleet.ledger[len(before) :] if entry.what == "began"]
    assert again
    taken_over = max(entry.at for entry in again) - killed_at
    assert taken_over < 15 * LOADED, taken_over
    assert set(counted(fleet, "ended", tasks).values()) == {1}
