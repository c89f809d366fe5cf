"""A task is canceled by HTTP, on the command line and on Kafka, wherever it is just then."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from app.domain.model.ids import TaskId
from tests.e2e.fleet import Fleet
from tests.waiting import until, until_true

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def work(fleet: Fleet) -> None:
    fleet.start("worker", "--id", fleet.prefix, "--slots", "1", "--runtimes", "python")


@pytest.fixture
async def http(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    for process in ("gateway", "projector"):
        fleet.start(process)
    work(fleet)
    await fleet.ready(within=90)
    async with httpx.AsyncClient(base_url=f"{fleet.url}/v1", timeout=60) as http:
        yield http


async def submit(http: httpx.AsyncClient, agent: str = "sleeper", **fields: Any) -> TaskId:
    body = {"agent": agent, "input": "sleep", "parameters": {"seconds": 600}, **fields}
    answer = await http.post("/tasks", json=body)
    assert answer.status_code == 202, answer.text
    return TaskId(answer.json()["id"])


async def ended(http: httpx.AsyncClient, task_id: TaskId, within: float = 40) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def has_ended() -> bool:
        found.clear()
        found.update((await http.get(f"/tasks/{task_id}", headers={"Prefer": "wait=5"})).json())
        return found.get("state") in {"completed", "failed", "canceled", "rejected"}

    await until_true(has_ended, within)
    return found


async def seen(http: httpx.AsyncClient, *task_ids: TaskId) -> None:
    """Return once the views have these tasks, which they need to be canceled over HTTP."""

    async def shown() -> bool:
        answers = [await http.get(f"/tasks/{task_id}") for task_id in task_ids]
        return all(answer.is_success for answer in answers)

    await until_true(shown, within=60)


async def begun(fleet: Fleet, task_id: TaskId, attempt: int = 1) -> None:
    def has_begun() -> bool:
        return ("began", task_id, attempt) in [entry[:3] for entry in fleet.ledger]

    await until(has_begun, within=90)


def began(fleet: Fleet) -> set[str]:
    return {entry.task_id for entry in fleet.ledger if entry.what == "began"}


async def test_a_running_task_a_queued_one_and_one_that_waits_for_its_time(
    fleet: Fleet, http: httpx.AsyncClient
) -> None:
    running = await submit(http)
    await begun(fleet, running)
    queued = await submit(http)
    later = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
    waiting = await submit(http, not_before=later)
    await seen(http, running, queued, waiting)

    # by HTTP, and again, which is answered the same
    for _ in range(2):
        answer = await http.post(f"/tasks/{queued}/cancel", json={"reason": "not needed"})
        assert (answer.status_code, answer.json()["reason"]) == (202, "canceling")

    async def canceling() -> bool:
        return bool((await http.get(f"/tasks/{queued}")).json()["reason"] == "canceling")

    await until_true(canceling)

    # on the command line
    done = fleet.run("cancel", running, "--reason", "changed my mind", "--wait", "30", "--json")
    assert done.returncode == 0, done.stderr
    canceled = json.loads(done.stdout)
    assert (canceled["state"], canceled["status_message"]) == ("canceled", "changed my mind")
    asked_at = canceled["started_at"]
    assert asked_at is not None

    # which frees the slot: the queued one ends without having begun
    task = await ended(http, queued)
    assert (task["state"], task["status_message"]) == ("canceled", "not needed")

    # on Kafka, as plain JSON, for a task that has hours to wait
    await on_kafka(fleet, waiting, b'{"reason": "too late"}')
    asked_at = time.monotonic()
    task = await ended(http, waiting)
    assert (task["state"], task["status_message"]) == ("canceled", "too late")
    print(f"a task that waited for its time ended {time.monotonic() - asked_at:.2f} s later")
    assert began(fleet) == {running}

    for task_id in (running, queued, waiting):
        answer = await http.post(f"/tasks/{task_id}/cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "task-ended")
    assert fleet.run("cancel", running).returncode == 4
    assert fleet.run("rebuild", "--check").returncode == 0


@pytest.mark.parametrize("agent", ["sleeper", "isolated-sleeper"])
async def test_a_worker_that_dies_before_during_or_after_loses_no_cancel(
    fleet: Fleet, http: httpx.AsyncClient, agent: str
) -> None:
    during = await submit(http, agent)
    await begun(fleet, during)
    before = await submit(http, agent)
    await seen(http, during, before)
    fleet.kill("worker")
    for task_id in (during, before):
        assert (await http.post(f"/tasks/{task_id}/cancel")).status_code == 202
    again = time.monotonic()
    work(fleet)
    for task_id in (during, before):
        assert (await ended(http, task_id, within=90))["state"] == "canceled"
    print(f"canceled {time.monotonic() - again:.2f} s after the worker came back")
    assert began(fleet) == {during}

    # after: a worker that comes back leaves what has ended as it ended
    done = await submit(http, agent, parameters={"seconds": 0})
    assert (await ended(http, done, within=90))["state"] == "completed"
    await on_kafka(fleet, done, b"{}")
    fleet.kill("worker")
    work(fleet)
    more = await submit(http, agent, parameters={"seconds": 0})
    assert (await ended(http, more, within=90))["state"] == "completed"
    task = (await http.get(f"/tasks/{done}")).json()
    assert (task["state"], task["reason"]) == ("completed", None)


async def test_a_run_in_a_process_of_its_own_is_stopped_at_once(
    fleet: Fleet, http: httpx.AsyncClient
) -> None:
    running = await submit(http, "isolated-sleeper")
    await begun(fleet, running)
    await seen(http, running)
    asked_at = time.monotonic()
    assert (await http.post(f"/tasks/{running}/cancel")).status_code == 202
    assert (await ended(http, running))["state"] == "canceled"
    print(f"an isolated run was canceled within {time.monotonic() - asked_at:.2f} s")
    assert "ended" not in {entry.what for entry in fleet.ledger}


async def on_kafka(fleet: Fleet, task_id: TaskId, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=fleet.kafka)
    await producer.start()
    try:
        await producer.send_and_wait(f"{fleet.prefix}.control", value, key=task_id.encode())
    finally:
        await producer.stop()
