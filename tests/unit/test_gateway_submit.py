"""Submitting a task over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable

import httpx
import pytest

from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.commands import SubmitTask, TaskBody
from app.domain.model.ids import TaskId, minted_at
from app.domain.model.messages import Message
from app.domain.model.task import Task
from app.entrypoints.gateway.services import GatewayLimits
from app.ports.event_log import LogUnavailable
from app.ports.status_store import StoreUnavailable
from tests.builders import TRACEPARENT, completed, input_required, started
from tests.gateway_under_test import Gateway, until

BODY = {"agent": "business-analyst", "input": "What is Kafka?"}
ID = "6f1f0d5e-6b59-4d5c-9f0a-2f6a3c1f7a10"


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


def commands(gateway: Gateway) -> list[SubmitTask]:
    records = [each for shard in gateway.log.ends() for each in gateway.log.records(shard)]
    return [each.message for each in records if isinstance(each.message, SubmitTask)]


async def test_a_task_is_accepted_once_the_log_has_it(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/v1/tasks", json=BODY)
    task = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/tasks/{task['id']}"
    assert answer.headers["retry-after"] == "1"
    assert minted_at(task["id"]) is not None
    assert (task["state"], task["reason"], task["input"]) == ("submitted", "queued", BODY["input"])
    assert task["links"] == {
        "self": f"/v1/tasks/{task['id']}",
        "events": f"/v1/tasks/{task['id']}/events",
    }
    assert [command.id for command in commands(gateway)] == [task["id"]]


async def test_the_answer_holds_every_field_of_the_contract(client: httpx.AsyncClient) -> None:
    task = (await client.post("/v1/tasks", json=BODY)).json()
    assert set(task) == {
        *("id", "agent", "runtime", "state", "reason", "status_message", "input", "parameters"),
        *(
            "context_id",
            "labels",
            "priority",
            "result",
            "error",
            "input_request",
            "attempt",
            "attempts",
            "usage",
        ),
        *("created_at", "started_at", "finished_at", "updated_at", "trace_id", "sequence", "links"),
    }


async def test_waiting_gives_the_finished_task(gateway: Gateway, client: httpx.AsyncClient) -> None:
    async def work() -> None:
        await until(lambda: bool(commands(gateway)))
        name = commands(gateway)[0].id
        await gateway.happen(started(name), completed(name, output="A log."))

    worker = asyncio.create_task(work())
    answer = await client.post("/v1/tasks", json=BODY, headers={"Prefer": "wait=5"})
    await worker
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=5"
    assert answer.headers["location"] == f"/v1/tasks/{answer.json()['id']}"
    assert "retry-after" not in answer.headers
    assert answer.json()["result"] == {"output": "A log.", "artifacts": []}


async def test_waiting_in_vain_gives_the_task_as_it_stands(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=BODY, headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=0")


async def test_a_question_to_a_person_ends_the_wait_but_is_no_end(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await client.post("/v1/tasks", json={**BODY, "id": ID})
    await gateway.happen(started(ID), input_required(ID))
    async with asyncio.timeout(10):
        asked = {**BODY, "id": ID}
        answer = await client.post("/v1/tasks", json=asked, headers={"Prefer": "wait=50"})
    assert (answer.status_code, answer.json()["state"]) == (202, "input-required")


@pytest.mark.parametrize(
    ("preference", "applied"),
    [
        ("wait=abc", None),
        ("wait=-1", None),
        ("wait", None),
        ("respond-async", None),
        ("", None),
        ("respond-async, wait=0", "wait=0"),
        ('WAIT = "0"; foo=bar', "wait=0"),
        ("wait=0, wait=50", "wait=0"),
        ('other="a, wait=0"', None),
        ('wait="0', None),
        ("wait=" + "0" * 500, "wait=0"),
    ],
)
async def test_a_preference_that_cannot_be_read_is_ignored(
    client: httpx.AsyncClient, preference: str, applied: str | None
) -> None:
    answer = await client.post("/v1/tasks", json=BODY, headers={"Prefer": preference})
    assert answer.status_code == 202
    assert answer.headers.get("preference-applied") == applied


async def test_a_wait_is_cut_at_the_longest() -> None:
    async with Gateway(limits=GatewayLimits(max_wait_seconds=1)).client() as client:
        answer = await client.post("/v1/tasks", json=BODY, headers={"Prefer": "wait=999999999"})
    assert answer.headers["preference-applied"] == "wait=1"


async def test_whoever_waits_is_answered_when_the_gateway_drains(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    asking = asyncio.create_task(client.post("/v1/tasks", json=BODY, headers={"Prefer": "wait=50"}))
    await until(lambda: bool(commands(gateway)))
    gateway.draining.begin()
    async with asyncio.timeout(10):
        assert (await asking).status_code == 202


async def test_a_key_makes_a_repeat_the_same_task(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    keyed = {"Idempotency-Key": "order-4711"}
    first = await client.post("/v1/tasks", json=BODY, headers=keyed)
    again = await client.post("/v1/tasks", json=dict(reversed(BODY.items())), headers=keyed)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    await gateway.happen(started(first.json()["id"]))
    later = await client.post("/v1/tasks", json=BODY, headers=keyed)
    assert later.json()["state"] == "working"
    assert len(commands(gateway)) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"input": "Something else"},
        {"timeout_seconds": 5},
        {"runtime": "rules"},
        {"labels": {"a": "b"}},
    ],
)
async def test_a_key_with_another_body_is_refused(
    client: httpx.AsyncClient, other: dict[str, object]
) -> None:
    keyed = {"Idempotency-Key": "order-4711"}
    await client.post("/v1/tasks", json=BODY, headers=keyed)
    answer = await client.post("/v1/tasks", json={**BODY, **other}, headers=keyed)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")


async def test_another_replica_knows_a_key_and_all_it_was_used_for_from_the_views(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    keyed = {"Idempotency-Key": "order-4711"}
    body = {**BODY, "runtime": "rules", "labels": {"a": "b", "c": "d"}, "budget": {"tokens": 9}}
    others: list[dict[str, object]] = [
        {"input": "x"},
        {"parameters": {"depth": 1}},
        {"context_id": "talk"},
        {"priority": "high"},
        {"timeout_seconds": 5},
        {"expires_at": "2100-01-01T00:00:00Z"},
        {"not_before": "2000-01-01T00:00:00Z"},
        {"budget": {"tokens": 10}},
        {"budget": None},
        {"runtime": None},
        {"model": "openai:gpt-5"},
        {"labels": {"a": "b"}},
    ]
    assert {name for other in others for name in other} == TaskBody.model_fields.keys()
    first = await client.post("/v1/tasks", json=body, headers=keyed)
    await gateway.happen(started(first.json()["id"]))
    replica = Gateway(log=gateway.log, store=gateway.store)
    transport = httpx.ASGITransport(replica.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://replica") as other:
        turned = {**dict(reversed(body.items())), "labels": {"c": "d", "a": "b"}}
        same = await other.post("/v1/tasks", json=turned, headers=keyed)
        assert same.json()["id"] == first.json()["id"]
        for change in others:
            changed = await other.post("/v1/tasks", json={**body, **change}, headers=keyed)
            assert changed.status_code == 422, change
            assert changed.json()["code"] == "idempotency-key-reused"
    assert len(commands(gateway)) == 1


async def test_a_repeat_while_the_first_is_being_accepted_conflicts() -> None:
    log = SlowLog()
    async with Gateway(log=log).client() as client:
        keyed = {"Idempotency-Key": "order-4711"}
        first = asyncio.create_task(client.post("/v1/tasks", json=BODY, headers=keyed))
        await log.asked.wait()
        answer = await client.post("/v1/tasks", json=BODY, headers=keyed)
        log.durable.set()
        assert (await first).status_code == 202
    assert (answer.status_code, answer.json()["code"]) == (409, "still-accepting")
    assert (answer.json()["retryable"], answer.headers["retry-after"]) == (True, "1")


async def test_an_id_names_the_task_and_conflicts_with_another_body(
    client: httpx.AsyncClient,
) -> None:
    first = await client.post("/v1/tasks", json={**BODY, "id": ID.upper()})
    again = await client.post("/v1/tasks", json={**BODY, "id": ID})
    other = await client.post("/v1/tasks", json={**BODY, "id": ID, "input": "x"})
    assert (first.json()["id"], again.json()["id"]) == (ID, ID)
    assert (other.status_code, other.json()["code"]) == (409, "task-exists")


async def test_a_key_that_failed_can_be_used_again() -> None:
    log = BrokenLog()
    async with Gateway(asked_log=log).client() as client:
        keyed = {"Idempotency-Key": "order-4711"}
        refused = await client.post("/v1/tasks", json=BODY, headers=keyed)
        log.broken = False
        accepted = await client.post("/v1/tasks", json=BODY, headers=keyed)
    assert (refused.status_code, accepted.status_code) == (503, 202)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("log-unavailable", "3")


async def test_a_broken_view_does_not_hide_that_a_task_was_accepted(gateway: Gateway) -> None:
    store = BrokenStore()
    async with Gateway(asked_store=store).client() as client:
        answer = await client.post("/v1/tasks", json=BODY, headers={"Prefer": "wait=5"})
    assert answer.status_code == 202


async def test_the_callers_trace_goes_with_the_task(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/v1/tasks", json=BODY, headers={"traceparent": TRACEPARENT})
    assert answer.json()["trace_id"] == TRACEPARENT.split("-")[1]
    assert commands(gateway)[0].traceparent == TRACEPARENT


@pytest.mark.parametrize(
    "broken", ["x", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "ff" + TRACEPARENT]
)
async def test_a_broken_trace_context_costs_the_task_nothing(
    gateway: Gateway, client: httpx.AsyncClient, broken: str
) -> None:
    answer = await client.post("/v1/tasks", json=BODY, headers={"traceparent": broken})
    assert (answer.status_code, answer.json()["trace_id"]) == (202, None)


async def test_tasks_are_counted_by_agent_and_outcome(client: httpx.AsyncClient) -> None:
    await client.post("/v1/tasks", json=BODY)
    await client.post("/v1/tasks", json={**BODY, "input": ""})
    await client.post("/v1/tasks", content=b"{", headers={"Content-Type": "application/json"})
    said = (await client.get("/metrics")).text
    assert 'crewline_tasks_accepted_total{agent="business-analyst"} 1.0' in said
    assert 'crewline_tasks_refused_total{agent="business-analyst",code="invalid"} 1.0' in said
    assert 'crewline_tasks_refused_total{agent="",code="malformed"} 1.0' in said
    assert (
        'http_request_method="POST",http_response_status_code="202",http_route="/v1/tasks"' in said
    )


async def test_what_is_accepted_is_what_was_sent(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    sent = {
        "agent": "business-analyst",
        "input": {"query": "ü \U0001f600 \u2028", "n": 2**70, "deep": [[{"a": None}]], "f": 0.1},
        "parameters": {"x": True},
        "context_id": "c",
        "labels": {"a/b.c": "d:e"},
        "timeout_seconds": 2.5,
        "runtime": "rules",
        "priority": "critical",
    }
    task = (await client.post("/v1/tasks", json=sent)).json()
    command = json.loads(commands(gateway)[0].model_dump_json())
    for name, value in sent.items():
        assert command[name] == value
        assert task.get(name, value) == value


class SlowLog(MemoryEventLog):
    """Takes a message at once; it is durable when it is told to be."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.durable = asyncio.Event(), asyncio.Event()

    async def append(self, message: Message) -> Awaitable[None]:
        self.asked.set()
        await self.durable.wait()
        return await super().append(message)


class BrokenLog(MemoryEventLog):
    broken = True

    async def append(self, message: Message) -> Awaitable[None]:
        if self.broken:
            raise LogUnavailable("the broker does not answer", retry_after=2.5)
        return await super().append(message)


class BrokenStore(MemoryStatusStore):
    async def find(self, task_id: TaskId) -> Task | None:
        raise StoreUnavailable("the database does not answer")
