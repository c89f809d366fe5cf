"""Canceling a task over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import httpx
import pytest

from app.domain.model.commands import CancelTask
from app.domain.model.ids import uuid7
from app.domain.model.messages import Message
from app.ports.event_log import EventLog, LogUnavailable
from tests.builders import T0, TRACEPARENT, canceled, completed, started, submitted, task_id
from tests.gateway_under_test import Gateway

PATH = f"/v1/tasks/{task_id()}"
CANCEL = f"{PATH}/cancel"


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


def asked(gateway: Gateway) -> list[CancelTask]:
    return [
        record.message
        for shard in gateway.log.ends()
        for record in gateway.log.records(shard)
        if isinstance(record.message, CancelTask)
    ]


async def test_a_task_says_canceling_until_its_work_has_stopped(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(), started())
    answer = await client.post(
        CANCEL, json={"reason": "changed my mind"}, headers={"traceparent": TRACEPARENT}
    )
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["reason"]) == ("working", "canceling")
    assert answer.headers["retry-after"] == "1"
    (cancel,) = asked(gateway)
    assert (cancel.task_id, cancel.reason) == (task_id(), "changed my mind")
    assert cancel.traceparent == TRACEPARENT
    read = (await client.get(PATH)).json()
    assert (read["state"], read["reason"]) == ("working", "canceling")
    assert read["updated_at"] == answer.json()["updated_at"]
    await gateway.happen(canceled(message="changed my mind"))
    read = (await client.get(PATH)).json()
    assert (read["state"], read["reason"]) == ("canceled", None)
    assert read["status_message"] == "changed my mind"


async def test_asking_again_is_answered_the_same(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted())
    for body in ({}, {"reason": "now"}, {"reason": None}):
        answer = await client.post(CANCEL, json=body)
        assert (answer.status_code, answer.json()["reason"]) == (202, "canceling")


async def test_no_body_is_needed(gateway: Gateway, client: httpx.AsyncClient) -> None:
    await gateway.happen(submitted())
    assert (await client.post(CANCEL)).status_code == 202


async def test_what_has_ended_cannot_be_canceled(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(), completed())
    answer = await client.post(CANCEL)
    assert (answer.status_code, answer.json()["code"]) == (409, "task-ended")
    assert not answer.json()["retryable"]
    assert asked(gateway) == []


@pytest.mark.parametrize("name", [uuid7(T0, bytes(10)), "nothing"])
async def test_a_task_nobody_knows_cannot_be_canceled(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post(f"/v1/tasks/{name}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-task")


@pytest.mark.parametrize(
    ("body", "kind", "status", "detail"),
    [
        (b"{", "application/json", 400, "the body is not JSON"),
        (b"{}", "text/plain", 415, "send `Content-Type: application/json`"),
        (b'{"reason": "\\ud800"}', "application/json", 400, "the body is not JSON"),
        (b"[]", "application/json", 422, "must be a JSON object"),
        (b'{"reason": 3}', "application/json", 422, "/reason: "),
        (b'{"raeson": "a"}', "application/json", 422, "did you mean 'reason'?"),
        (b'{"reason": "' + b"x" * 1_001 + b'"}', "application/json", 422, "1000 characters"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused(
    gateway: Gateway, client: httpx.AsyncClient, body: bytes, kind: str, status: int, detail: str
) -> None:
    await gateway.happen(submitted())
    answer = await client.post(CANCEL, content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert asked(gateway) == []


class BrokenLog(EventLog):
    async def append(self, message: Message) -> Awaitable[None]:
        raise LogUnavailable("the broker is away")


async def test_without_a_broker_the_answer_is_to_try_again() -> None:
    gateway = Gateway(asked_log=BrokenLog())
    async with gateway.client() as client:
        await gateway.happen(submitted())
        answer = await client.post(CANCEL)
    assert (answer.status_code, answer.json()["code"]) == (503, "log-unavailable")
    assert answer.headers["retry-after"]


async def test_the_answer_does_not_wait_long_for_views_that_are_behind() -> None:
    gateway = Gateway()
    async with gateway.client() as client:
        await gateway.happen(submitted())
    transport = httpx.ASGITransport(gateway.app)  # no projector runs any more
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await asyncio.wait_for(client.post(CANCEL), 2)
    assert (answer.status_code, answer.json()["reason"]) == (202, "canceling")
