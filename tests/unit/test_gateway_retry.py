"""Running a task again over HTTP, whether or not it left a dead letter."""

from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.domain.model.commands import SubmitTask
from app.domain.model.events import Event, TaskRedriven
from app.domain.model.letters import LetterRedriven
from app.domain.model.lifecycle import Reason
from app.domain.model.messages import Message
from app.ports.event_log import EventLog, LogUnavailable
from tests.builders import (
    TRACEPARENT,
    canceled,
    canceling,
    completed,
    failed,
    rejected,
    started,
    submitted,
    task_id,
)
from tests.gateway_under_test import Gateway
from tests.unit.test_gateway_letters import die, logged

PATH = f"/v1/tasks/{task_id('t-1')}"
RETRY = f"{PATH}/retry"


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


@pytest.mark.parametrize(
    ("ending", "state"), [(failed, "failed"), (canceled, "canceled"), (rejected, "rejected")]
)
async def test_what_did_not_end_well_is_sent_again_as_the_same_task(
    gateway: Gateway, client: httpx.AsyncClient, ending: Any, state: str
) -> None:
    first = submitted("t-1", traceparent=TRACEPARENT, labels={"team": "blue"})
    await gateway.happen(first, canceling("t-1"), started("t-1"), ending("t-1", 1, 2))
    assert (await client.get(PATH)).json()["state"] == state
    answer = await client.post(RETRY, json={"by": "ada"})
    assert answer.status_code == 202, answer.text
    shown = answer.json()
    assert (shown["id"], shown["state"], shown["reason"]) == (first.id, "submitted", "queued")
    assert (shown["error"], shown["finished_at"]) == (None, None)
    assert answer.headers["retry-after"] == "1"
    (reopened,) = logged(gateway, TaskRedriven)
    assert (reopened.attempt, reopened.sequence, reopened.redrives) == (1, 3, 1)
    again = logged(gateway, SubmitTask)[-1]
    assert again.earlier.attempts == 1
    assert (again.earlier.failures, again.earlier.redrives) == (0, 1)
    assert again.earlier.redriven_at is not None
    assert again.model_copy(update={"earlier": first.earlier}) == first
    await gateway.happen(started("t-1", 2), completed("t-1", 2, 2))
    read = (await client.get(PATH)).json()
    assert (read["state"], read["attempt"]) == ("completed", 2)


async def test_a_waiting_letter_is_what_is_sent_and_settled(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway)
    answer = await client.post(RETRY)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "submitted"
    (settled,) = logged(gateway, LetterRedriven)
    assert (settled.letter_id, settled.task_id) == (buried.id, task_id("t-1"))
    assert len(logged(gateway, TaskRedriven)) == 1


async def test_a_letter_without_its_message_is_settled_by_what_was_asked(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway, value=None)
    answer = await client.post(RETRY)
    assert answer.status_code == 202, answer.text
    (settled,) = logged(gateway, LetterRedriven)
    assert settled.letter_id == buried.id
    assert logged(gateway, SubmitTask)[-1].earlier.attempts == 2


async def test_what_a_person_asks_for_is_not_counted_as_a_redrive_too_many(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await die(gateway, redrives=3)
    assert (await client.post(RETRY)).status_code == 202


async def test_an_expired_task_runs_after_all(gateway: Gateway, client: httpx.AsyncClient) -> None:
    past = gateway.clock.now() - timedelta(minutes=5)
    expired = rejected("t-1", reason=Reason.EXPIRED)
    await gateway.happen(submitted("t-1", expires_at=past), expired)
    assert (await client.post(RETRY)).status_code == 202
    assert logged(gateway, SubmitTask)[-1].expires_at is None


@pytest.mark.parametrize("then", [[], [started("t-1")], [started("t-1"), completed("t-1", 1, 2)]])
async def test_what_goes_on_or_ended_well_is_refused(
    gateway: Gateway, client: httpx.AsyncClient, then: list[Event]
) -> None:
    await gateway.happen(submitted("t-1"), *then)
    answer = await client.post(RETRY)
    assert (answer.status_code, answer.json()["code"]) == (409, "task-not-failed")
    assert len(logged(gateway, SubmitTask)) == 1
    assert logged(gateway, TaskRedriven) == []


async def test_a_task_of_which_only_events_are_known_cannot_be_sent(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(started("t-1"), failed("t-1", 1, 2))
    answer = await client.post(RETRY)
    assert (answer.status_code, answer.json()["code"]) == (422, "input-unknown")
    assert logged(gateway, TaskRedriven) == []


@pytest.mark.parametrize("body", [{"who": "ada"}, {"by": ""}, []])
async def test_a_body_that_does_not_fit_is_refused(client: httpx.AsyncClient, body: Any) -> None:
    assert (await client.post(RETRY, json=body)).status_code == 422


class Failing(EventLog):
    """Takes all but tasks that are sent again, as long as it is told to."""

    def __init__(self) -> None:
        self.inner: EventLog | None = None
        self.broken = True

    async def append(self, message: Message) -> Awaitable[None]:
        assert self.inner is not None
        if self.broken and isinstance(message, SubmitTask):
            raise LogUnavailable("the broker is away")
        return await self.inner.append(message)


async def test_after_a_failure_in_between_a_repeat_sends_it() -> None:
    log = Failing()
    gateway = Gateway(asked_log=log)
    log.inner = gateway.log
    async with gateway.client() as client:
        await gateway.happen(submitted("t-1"), started("t-1"), failed("t-1", 1, 2))
        assert (await client.post(RETRY)).status_code == 503
        await gateway.happen()
        assert len(logged(gateway, SubmitTask)) == 1
        log.broken = False
        assert (await client.post(RETRY)).status_code == 202
        (reopened,) = logged(gateway, TaskRedriven)
        assert logged(gateway, SubmitTask)[-1].earlier.redrives == reopened.redrives == 1


async def test_each_time_counts_one_more(gateway: Gateway, client: httpx.AsyncClient) -> None:
    await gateway.happen(submitted("t-1"))
    for attempt in (1, 2, 3):
        await gateway.happen(started("t-1", attempt), failed("t-1", attempt, 2))
        assert (await client.post(RETRY)).status_code == 202
    again = logged(gateway, SubmitTask)[1:]
    assert [(each.earlier.attempts, each.earlier.redrives) for each in again] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
