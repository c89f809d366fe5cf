"""An agent with too much to do: its new tasks are refused, and told when to come back."""

from dataclasses import replace

import pytest

from app.adapters.memory.backlogs import MemoryBacklogs
from app.adapters.memory.task_queue import MemoryTasks
from app.domain.use_cases.admit_task import Admission
from app.entrypoints.gateway.services import GatewayServices
from tests.gateway_under_test import Gateway

BODY = {"agent": "business-analyst", "input": "x"}


@pytest.fixture
async def gateway() -> Gateway:
    """Two tasks may wait, and there is no worker."""
    gateway = Gateway()
    backlogs = MemoryBacklogs(MemoryTasks(gateway.log))
    admission = Admission(backlogs, gateway.clock, limit=2)
    await admission.look()

    def limited(services: GatewayServices) -> GatewayServices:
        return replace(services, submit=replace(services.submit, admission=admission))

    return Gateway(log=gateway.log, adapt=limited)


async def test_a_full_backlog_is_429_and_says_when_to_come_back(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for _ in range(2):
            assert (await client.post("/v1/tasks", json=BODY)).status_code == 202
        refused = await client.post("/v1/tasks", json=BODY)
    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["retryable"]) == (
        429,
        "backlog-full",
        True,
    )
    assert refused.headers["retry-after"] == "10"
    assert refused.headers["ratelimit"] == '"backlog";r=0;t=10'
    assert refused.headers["ratelimit-policy"] == '"backlog";q=2'


async def test_to_call_a_task_critical_is_no_way_around(gateway: Gateway) -> None:
    async with gateway.client() as client:
        for priority in ("critical", "normal"):
            answer = await client.post("/v1/tasks", json={**BODY, "priority": priority})
            assert answer.status_code == 202
        for priority in ("high", "critical"):
            refused = await client.post("/v1/tasks", json={**BODY, "priority": priority})
            assert (refused.status_code, refused.json()["code"]) == (429, "backlog-full")


async def test_a_repeat_of_what_was_taken_is_no_new_task(gateway: Gateway) -> None:
    keyed = {"Idempotency-Key": "order-4711"}
    async with gateway.client() as client:
        first = await client.post("/v1/tasks", json=BODY, headers=keyed)
        await client.post("/v1/tasks", json=BODY)
        again = await client.post("/v1/tasks", json=BODY, headers=keyed)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


async def test_metrics_tell_how_much_waits(gateway: Gateway) -> None:
    async with gateway.client() as client:
        await client.post("/v1/tasks", json=BODY)
        said = (await client.get("/metrics")).text
    assert 'crewline_backlog_tasks{agent="business-analyst"} 1.0' in said
