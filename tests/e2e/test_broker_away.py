"""The broker dies and comes back: nothing hangs, nothing is lost, nothing runs a second time."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from app.adapters.local.servers.kraft import KraftBroker
from tests.e2e.fleet import Fleet
from tests.e2e.outside import EVERYTHING, Outside, new_fleet, outside, standing
from tests.waiting import until, until_true

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KraftBroker]:
    """One of our own: nobody else's tests want it to die."""
    with KraftBroker(folder=tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="module")
def fleet(broker: KraftBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = new_fleet(tmp_path_factory.mktemp("away"), broker.address)
    with standing(fleet, *EVERYTHING):
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


def entries(fleet: Fleet, task_id: str) -> list[str]:
    return [entry.what for entry in fleet.ledger if entry.task_id == task_id]


async def refused(user: Outside) -> httpx.Response:
    """The answer to a task while the broker is away; it comes within 12 seconds."""
    began = time.monotonic()
    answer = await user.http.post("/v1/tasks", json={"agent": "sleeper", "input": "x"})
    assert time.monotonic() - began < 12
    return answer


async def test_an_outage_is_said_at_once_and_survived(
    broker: KraftBroker, fleet: Fleet, user: Outside
) -> None:
    await user.ended(await user.submit("sleeper", {}))  # all have joined their groups
    ends_meanwhile = await user.submit("sleeper", {"parameters": {"seconds": 6}})
    ends_afterwards = await user.submit("sleeper", {"parameters": {"seconds": 18}})
    submitted = [ends_meanwhile, ends_afterwards]
    await until(lambda: all(entries(fleet, each) for each in submitted), within=60)

    async def shows() -> bool:
        answer = await user.http.get(f"/v1/tasks/{ends_afterwards}")
        return bool(answer.json().get("state") == "working")

    await until_true(shows)
    assert entries(fleet, ends_meanwhile) == ["began"]
    broker.kill()

    *answers, said = await asyncio.gather(
        refused(user),
        refused(user),
        asyncio.to_thread(fleet.run, "submit", "sleeper", "x"),
    )
    assert (said.returncode, "log-unavailable" in said.stderr) == (3, True)
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert float(answer.headers["retry-after"]) > 0
        assert (answer.json()["code"], answer.json()["retryable"]) == ("log-unavailable", True)
    ready = await user.http.get("/readyz")
    assert ready.status_code == 503
    assert (ready.json()["checks"]["store"], "broker" in ready.json()["detail"]) == ("ok", True)
    assert (await user.http.get("/livez")).status_code == 200
    assert await shows()
    await until(lambda: entries(fleet, ends_meanwhile) == ["began", "ended"])

    await asyncio.to_thread(broker.start)
    await fleet.ready()
    later = await user.submit("sleeper", {})
    for task_id in (ends_meanwhile, ends_afterwards, later):
        task = await user.ended(task_id, within=60)
        assert (task["state"], task["attempt"]) == ("completed", 1)
        assert entries(fleet, task_id) == ["began", "ended"]
    assert fleet.run("rebuild", "--check").returncode == 0


async def test_every_process_ends_when_it_is_told_to_while_the_broker_is_away(
    broker: KraftBroker, fleet: Fleet, user: Outside
) -> None:
    task_id = await user.submit("sleeper", {})
    await user.ended(task_id)
    broker.kill()

    async def noticed() -> bool:
        return (await user.http.get("/readyz")).status_code == 503

    await until_true(noticed)
    for process in EVERYTHING:
        assert await fleet.stop(process, within=30) == 0
