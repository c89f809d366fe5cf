"""Another try, now or later, on real Kafka: whoever dies, no task is lost, none ends twice."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from app.adapters.kafka.offsets import Snapshot
from app.domain.model.messages import rfc3339
from tests.e2e.agents import Entry
from tests.e2e.fleet import CATALOG, Fleet
from tests.waiting import until, until_true

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

WORKER = ("--id", "retrying", "--slots", "8", "--runtimes", "python")
HOLD = 1.0
"""Seconds that a worker keeps what waits for its next run: longer waits are the delays'."""
WAIT = 8.0
"""Seconds that a task asks to be left alone; long enough to kill its worker meanwhile."""


@pytest.fixture
def hold() -> float:
    return HOLD


@pytest.fixture
async def retrying(fleet: Fleet, hold: float) -> Fleet:
    """A gateway, a projector and a worker, with agents that fail."""
    folders = (CATALOG, Path(__file__).parent / "retrying")
    fleet.environment["CREWLINE_CATALOG__FOLDERS"] = ",".join(map(str, folders))
    fleet.environment["CREWLINE_WORKER__HOLD_SECONDS"] = str(hold)
    made = fleet.run("topics", "apply")
    assert made.returncode == 0, made.stderr
    for process in ("gateway", "projector"):
        fleet.start(process)
    fleet.start("worker", *WORKER)
    await fleet.ready(90)
    return fleet


async def submit(fleet: Fleet, agent: str = "flaky", **more: Any) -> str:
    body = {"agent": agent, "input": "go"} | more
    async with httpx.AsyncClient(timeout=30) as http:
        answer = await http.post(f"{fleet.url}/v1/tasks", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def read(fleet: Fleet, task_id: str) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=30) as http:
        task: dict[str, Any] = (await http.get(f"{fleet.url}/v1/tasks/{task_id}")).json()
    return task


async def until_it_is(fleet: Fleet, task_id: str, wanted: str, within: float = 90) -> None:
    """Return as soon as a task's state or reason is the wanted one."""

    async def is_it() -> bool:
        fleet.refuse_dead()
        task = await read(fleet, task_id)
        return wanted in (task.get("state"), task.get("reason"))

    await until_true(is_it, within)


def runs_of(fleet: Fleet, task_id: str, what: str = "began") -> list[Entry]:
    return [each for each in fleet.ledger if each.task_id == task_id and each.what == what]


def supervised(fleet: Fleet) -> bool:
    """Start a worker again that has died, as a supervisor does; whether there was need to."""
    if fleet.running["worker"].poll() is None:
        return False
    del fleet.running["worker"]
    fleet.start("worker", *WORKER)
    return True


async def wait_is_committed(fleet: Fleet) -> bool:
    """Whether the worker's group knows that the only task waits, or that the delays have it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=fleet.kafka)
    await admin.start()
    try:
        commits = await admin.list_consumer_group_offsets(f"{fleet.prefix}.workers")
    finally:
        await admin.close()
    return any(
        commit.offset > 0
        or any(
            tries.not_before
            for tries in Snapshot.decode(commit.offset, commit.metadata).running.values()
        )
        for partition, commit in commits.items()
        if partition.topic == f"{fleet.prefix}.commands.flaky"
    )


async def endings(fleet: Fleet, task_id: str) -> list[str]:
    async with httpx.AsyncClient(timeout=30) as http:
        headers = {"accept": "application/json"}
        found = (await http.get(f"{fleet.url}/v1/tasks/{task_id}/events", headers=headers)).json()
    terminal = {"task.completed.v1", "task.failed.v1", "task.canceled.v1", "task.rejected.v1"}
    return [each["type"] for each in found["items"] if each["type"] in terminal]


async def test_a_task_is_tried_again_after_short_and_after_long_waits(retrying: Fleet) -> None:
    short = await submit(retrying, parameters={"failures": 2})
    long = await submit(retrying, parameters={"failures": 1, "retry_after": 3})
    for task_id in (short, long):
        await until_it_is(retrying, task_id, "completed")
    assert [each.attempt for each in runs_of(retrying, short)] == [1, 2, 3]
    first, second = runs_of(retrying, long)
    assert (first.attempt, second.attempt) == (1, 2)
    assert 3 <= second.at - first.at < 8
    attempts = (await read(retrying, long))["attempts"]
    assert [(each["number"], each["state"]) for each in attempts] == [
        (1, "retrying"),
        (2, "completed"),
    ]
    shown = retrying.run("status", short, "--json")
    assert [each["number"] for each in json.loads(shown.stdout)["attempts"]] == [1, 2, 3]
    followed = retrying.run("tail", long)
    assert "task.retry-scheduled" in followed.stdout
    assert "try-later: not yet; again at " in followed.stdout


async def test_what_fails_too_often_is_a_dead_letter_and_says_how_often_it_was_tried(
    retrying: Fleet,
) -> None:
    task_id = await submit(retrying, parameters={"failures": 99})
    await until_it_is(retrying, task_id, "failed")
    task = await read(retrying, task_id)
    assert (task["reason"], task["error"]["code"]) == ("dead-lettered", "try-later")
    assert [each.attempt for each in runs_of(retrying, task_id)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("end", ["kill -9", "drain"])
@pytest.mark.parametrize("hold", [30, HOLD], ids=["with its worker", "with the delays"])
async def test_a_task_that_waits_keeps_its_time_and_its_number_whatever_ends_its_worker(
    retrying: Fleet, end: str
) -> None:
    task_id = await submit(retrying, parameters={"failures": 1, "retry_after": WAIT})
    await until_it_is(retrying, task_id, "retrying")
    if end == "drain":
        assert await retrying.stop("worker") == 0
    else:
        await until_true(lambda: wait_is_committed(retrying))
        retrying.kill("worker")
    retrying.start("worker", *WORKER)
    await until_it_is(retrying, task_id, "completed")
    first, second = runs_of(retrying, task_id)
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.at - first.at >= WAIT
    assert len(await endings(retrying, task_id)) == 1


async def test_kill_9_between_the_delays_and_the_commit_runs_a_task_on_and_ends_it_once(
    retrying: Fleet,
) -> None:
    parameters = {"failures": 1, "retry_after": 6, "die_after_put": True}
    task_id = await submit(retrying, parameters=parameters)
    await until(lambda: supervised(retrying), within=60)
    put_at = time.time()
    await until_it_is(retrying, task_id, "completed")
    await asyncio.sleep(max(0, put_at + 8 - time.time()))  # the delayed copy has come by then
    assert [each.attempt for each in runs_of(retrying, task_id)] == [1, 2]
    assert await endings(retrying, task_id) == ["task.completed.v1"]


async def test_what_kills_its_worker_is_given_up_after_three_runs_and_its_neighbours_are_not(
    retrying: Fleet,
) -> None:
    innocent = [
        await submit(retrying, "sleeper", parameters={"seconds": 2 + number / 10})
        for number in range(4)
    ]
    await until(lambda: len(retrying.ledger) >= 4, within=40)
    deadly = await submit(retrying, "deadly")
    deaths = 0

    async def all_ended() -> bool:
        nonlocal deaths
        deaths += supervised(retrying)
        states = [(await read(retrying, each)).get("state") for each in (*innocent, deadly)]
        return states == ["completed"] * 4 + ["failed"]

    await until_true(all_ended, within=300)
    # a death right after the very first start comes before that start is known to anyone
    assert deaths in {3, 4}
    assert [each.attempt for each in runs_of(retrying, deadly)][-3:] == [1, 2, 3]
    task = await read(retrying, deadly)
    assert (task["reason"], task["error"]["code"]) == ("dead-lettered", "poison")
    for task_id in innocent:
        assert await endings(retrying, task_id) == ["task.completed.v1"]


async def test_a_task_begins_not_before_its_time_however_it_was_handed_in(retrying: Fleet) -> None:
    due = datetime.now(UTC) + timedelta(seconds=20)
    over_http = await submit(retrying, "sleeper", not_before=rfc3339(due))
    told, from_now = await asyncio.gather(
        *(
            asyncio.to_thread(retrying.run, "submit", "sleeper", "go", "--not-before", when)
            for when in (rfc3339(due), "+5s")
        )
    )
    assert (told.returncode, from_now.returncode) == (0, 0), told.stderr + from_now.stderr
    async with AIOKafkaProducer(bootstrap_servers=retrying.kafka) as producer:
        value = json.dumps({"input": "go", "not_before": rfc3339(due)}).encode()
        topic = f"{retrying.prefix}.commands.sleeper"
        await producer.send_and_wait(topic, value)
    await until(lambda: sum(each.what == "ended" for each in retrying.ledger) == 4, within=60)
    began = {each.task_id: each.at for each in retrying.ledger if each.what == "began"}
    assert len(began) == 4
    assert over_http in began
    del began[from_now.stdout.strip()]
    assert all(0 <= at - due.timestamp() < 5 for at in began.values())
    assert {each.attempt for each in retrying.ledger} == {1}


async def test_a_time_that_is_none_is_refused_with_its_name(retrying: Fleet) -> None:
    told = retrying.run("submit", "sleeper", "go", "--not-before", "tomorrow")
    assert told.returncode == 2
    assert "--not-before" in told.stderr
