"""A worker is killed in the middle of its work: nothing is lost, nothing finished runs again."""

import asyncio
import json
import random
from datetime import datetime

import httpx
import pytest

from tests.e2e.fleet import Fleet
from tests.waiting import until, until_true

pytestmark = [pytest.mark.kafka, pytest.mark.alone]


async def submit(fleet: Fleet, http: httpx.AsyncClient, seconds: float) -> str:
    body = {"agent": "sleeper", "input": "sleep", "parameters": {"seconds": seconds}}
    answer = await http.post(f"{fleet.url}/v1/tasks", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def completed(fleet: Fleet, http: httpx.AsyncClient) -> set[str]:
    page = (await http.get(f"{fleet.url}/v1/tasks?state=completed&limit=200")).json()
    return {task["id"] for task in page["items"]}


def working_since(fleet: Fleet) -> float:
    """When the worker that was started last said that it works."""
    lines = [json.loads(line) for line in fleet.log_of("worker").splitlines()]
    said = [line["ts"] for line in lines if line["event"] == "working"][-1]
    return datetime.fromisoformat(said).timestamp()


@pytest.mark.timeout(180)
async def test_kill_9_in_the_middle_of_40_tasks_re_runs_just_the_interrupted(fleet: Fleet) -> None:
    for process in ("gateway", "projector"):
        fleet.start(process)
    fleet.start("worker", "--id", "worker-1", "--slots", "40", "--runtimes", "python")
    await fleet.ready()
    chance = random.Random(5)
    quick = [round(chance.uniform(1, 2), 2) for _ in range(28)]
    durations = quick + [round(chance.uniform(9, 9.5), 2) for _ in range(12)]
    chance.shuffle(durations)
    async with httpx.AsyncClient(timeout=30) as http:
        first = await submit(fleet, http, 0)  # the group is joined once this one is done
        await until(lambda: bool(fleet.ledger), within=40)
        tasks = await asyncio.gather(*(submit(fleet, http, each) for each in durations))
        slow = {task for task, each in zip(tasks, durations, strict=True) if each > 2}
        done = {first, *tasks} - slow

        async def quick_ones_done() -> bool:
            return await completed(fleet, http) == done

        await until_true(quick_ones_done, within=30)
        fleet.kill("worker")
        before = fleet.ledger
        assert {e.task_id for e in before if e.what == "ended"} == done
        fleet.start("worker", "--id", "worker-1", "--slots", "40", "--runtimes", "python")

        async def all_done() -> bool:
            return await completed(fleet, http) == {first, *tasks}

        await until_true(all_done, within=60)
    again = [entry for entry in fleet.ledger[len(before) :] if entry.what == "began"]
    assert {entry.task_id for entry in again} == slow
    assert {entry.attempt for entry in again} == {2}
    assert len(again) == len(slow)
    # how long Python takes to load is the machine's (`make bench` tells it); the rest is ours
    assert max(entry.at for entry in again) - working_since(fleet) < 3


@pytest.mark.timeout(120)
async def test_what_ended_just_before_a_crash_does_not_run_again_where_the_views_lag(
    fleet: Fleet,
) -> None:
    fleet.start("gateway")
    await fleet.ready()
    options = ("--id", "worker-1", "--runtimes", "python")
    fleet.start("worker", *options, failpoint="result-durable:1")
    worker = fleet.running.pop("worker")
    async with httpx.AsyncClient(timeout=30) as http:
        task = await submit(fleet, http, 0)
        await until(lambda: worker.poll() is not None, within=60)
        assert [entry.what for entry in fleet.ledger] == ["began", "ended"]
        fleet.start("worker", *options)
        later = await submit(fleet, http, 0)
        await until(lambda: {entry.task_id for entry in fleet.ledger} == {task, later}, within=60)
        fleet.start("projector")

        async def both_done() -> bool:
            return await completed(fleet, http) == {task, later}

        await until_true(both_done, within=60)
        ended = (await http.get(f"{fleet.url}/v1/tasks/{task}")).json()
    assert [entry.task_id for entry in fleet.ledger if entry.what == "began"] == [task, later]
    assert ended["attempt"] == 1


@pytest.mark.timeout(120)
async def test_a_worker_asked_to_stop_finishes_what_it_runs(fleet: Fleet) -> None:
    for process in ("gateway", "projector"):
        fleet.start(process)
    fleet.start("worker", "--id", "worker-1", "--slots", "2", "--runtimes", "python")
    await fleet.ready()
    async with httpx.AsyncClient(timeout=30) as http:
        tasks = [await submit(fleet, http, 5) for _ in range(4)]
        await until(lambda: len(fleet.ledger) == 2, within=40)
        assert await fleet.stop("worker") == 0
        ended = {entry.task_id for entry in fleet.ledger if entry.what == "ended"}
        assert len(ended) == 2
        fleet.start("worker", "--id", "worker-1", "--slots", "2", "--runtimes", "python")

        async def all_done() -> bool:
            return await completed(fleet, http) == set(tasks)

        await until_true(all_done, within=40)
    assert len([entry for entry in fleet.ledger if entry.what == "began"]) == 4
