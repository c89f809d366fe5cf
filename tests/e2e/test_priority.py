"""Something urgent comes while a long line waits."""

import json
import time

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from tests.e2e.fleet import Fleet
from tests.waiting import until, until_true

pytestmark = pytest.mark.kafka

_WAITING = 1_000


async def produce_low(fleet: Fleet, seconds: float) -> None:
    """As any client would: plain JSON on the agent's topic."""
    task = {"input": "x", "priority": "low", "parameters": {"seconds": seconds}}
    producer = AIOKafkaProducer(bootstrap_servers=fleet.kafka)
    await producer.start()
    for _ in range(_WAITING):
        await producer.send(f"{fleet.prefix}.commands.sleeper", json.dumps(task).encode())
    await producer.stop()


@pytest.mark.timeout(240)
async def test_a_critical_task_passes_a_thousand_that_wait(fleet: Fleet) -> None:
    for process in ("gateway", "projector"):
        fleet.start(process)
    await fleet.ready()  # before the line gets shorter
    await produce_low(fleet, 0.05)
    fleet.start("worker", "--slots", "8", "--runtimes", "python")
    await until(lambda: len(fleet.ledger) > 100, within=60)
    body = {"agent": "sleeper", "input": "x", "priority": "critical"}
    async with httpx.AsyncClient(timeout=30) as http:
        submitted_at, begun_before = time.time(), began(fleet)
        answer = await http.post(f"{fleet.url}/v1/tasks", json=body)
        assert answer.status_code == 202, answer.text
        task_id = answer.json()["id"]
        await until(lambda: task_id in began(fleet), within=60)
        order = list(began(fleet))
        passed = _WAITING - order.index(task_id)
        waited = began(fleet)[task_id] - submitted_at
        print(f"begun before: {len(begun_before)}, passed: {passed}, {waited * 1000:.0f} ms")
        assert passed > 100, f"{len(begun_before)} had begun before it came"

        async def shown() -> bool:
            task = (await http.get(f"{fleet.url}/v1/tasks/{task_id}")).json()
            return (task.get("state"), task.get("priority")) == ("completed", "critical")

        await until_true(shown, within=60)
        asked = fleet.run("submit", "sleeper", "x", "--priority", "high", "--json")
        assert json.loads(asked.stdout)["priority"] == "high", asked.stderr
        refused = await http.post(f"{fleet.url}/v1/tasks", json={**body, "priority": "urgent"})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/priority")


def began(fleet: Fleet) -> dict[str, float]:
    """When each task began, in that order."""
    return {entry.task_id: entry.at for entry in fleet.ledger if entry.what == "began"}
