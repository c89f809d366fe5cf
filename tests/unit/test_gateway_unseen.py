"""Tasks that were accepted and that the views have not read of, over HTTP."""

import httpx
import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.commands import CancelTask
from app.domain.model.ids import TaskId, uuid7
from app.domain.model.task import Task, describe
from app.domain.use_cases import read_status
from app.ports.status_store import StoreUnavailable
from tests.builders import completed, started, submitted, task_id
from tests.gateway_under_test import ANALYST, Gateway, until

BODY = {"agent": ANALYST.name, "input": "Requirements for a library"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_status, "_PATIENCE", 0.05)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def without_projector(gateway: Gateway) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(gateway.app)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def test_who_accepted_a_task_knows_it_without_views(gateway: Gateway) -> None:
    async with without_projector(gateway) as http:
        accepted = await http.post("/v1/tasks", json=BODY)
        path = accepted.headers["location"]
        answer = await http.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (200, "1")
        assert answer.json() == {**accepted.json(), "reason": "accepted"}
        waited = await http.get(path, headers={"Prefer": "wait=0"})
        assert waited.json() == answer.json()
        again = await http.post(f"{path}/cancel")
        assert (again.status_code, again.json()["reason"]) == (202, "canceling")
        assert (await http.get(path)).json() == again.json()


async def test_where_the_views_lag_an_id_may_exist(gateway: Gateway) -> None:
    await gateway.log.publish(submitted("t-1"))
    fresh = uuid7(gateway.clock.now(), gateway.clock.entropy())
    async with without_projector(gateway) as http:
        for name in (task_id("t-1"), task_id("other"), fresh):
            for question in ("", "/events"):
                answer = await http.get(f"/v1/tasks/{name}{question}")
                assert (answer.status_code, answer.json()["code"]) == (503, "views-behind")
                assert answer.headers["retry-after"] == "1"
        canceled = await http.post(f"/v1/tasks/{task_id('t-1')}/cancel", json={"reason": "no"})
    body = canceled.json()
    assert (canceled.status_code, body["state"], body["reason"]) == (202, "submitted", "canceling")
    assert (body["id"], body["agent"]) == (task_id("t-1"), None)
    [cancel] = [
        record.message
        for shard in gateway.log.ends(gateway.log.control_topic)
        for record in gateway.log.records(shard)
    ]
    assert isinstance(cancel, CancelTask)
    assert (cancel.task_id, cancel.reason) == (task_id("t-1"), "no")


async def test_a_question_that_waits_is_answered_when_the_views_have_caught_up(
    gateway: Gateway,
) -> None:
    await gateway.log.publish(submitted("t-1"))
    async with gateway.client() as http:
        answer = await http.get(f"/v1/tasks/{task_id('t-1')}", headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["state"]) == (200, "submitted")


async def test_what_the_views_know_is_told_while_they_lag(gateway: Gateway) -> None:
    async with gateway.running():
        await gateway.happen(submitted("t-1"), started("t-1"), completed("t-1"))
    await gateway.log.publish(submitted("t-2"))
    async with without_projector(gateway) as http:
        answer = await http.get(f"/v1/tasks/{task_id('t-1')}")
        assert (answer.status_code, answer.json()["state"]) == (200, "completed")
        ended = await http.post(f"/v1/tasks/{task_id('t-1')}/cancel")
        assert (ended.status_code, ended.json()["code"]) == (409, "task-ended")


async def test_the_views_take_over_what_was_remembered(gateway: Gateway) -> None:
    async with gateway.client() as http:
        path = (await http.post("/v1/tasks", json=BODY)).headers["location"]
        name = TaskId(path.rpartition("/")[2])
        await until(lambda: name in gateway.store._commands)
        assert (await http.get(path)).json()["reason"] == "queued"
        assert name not in gateway.services.status.answers


class Away(MemoryStatusStore):
    async def find(self, task_id: TaskId) -> Task | None:
        raise StoreUnavailable("no database")


async def test_a_cancel_needs_no_views() -> None:
    gateway = Gateway(asked_store=Away())
    async with without_projector(gateway) as http:
        answer = await http.post(f"/v1/tasks/{task_id()}/cancel")
    assert (answer.status_code, answer.json()["reason"]) == (202, "canceling")
    assert sum(gateway.log.ends(gateway.log.control_topic).values()) == 1


def test_remembered_answers_are_bounded_by_what_they_take() -> None:
    answers = read_status.RecentAnswers(most=3, most_bytes=10_000)
    tasks = [_task(f"t-{number}", "x" * 4_000) for number in range(5)]
    for task in tasks:
        answers.add(task)
        answers.add(task)  # again: it is counted once
    assert [task.id in answers for task in tasks] == [False, False, False, True, True]
    for number in range(9):
        answers.add(_task(f"s-{number}", "x"))
    assert sum(_task(f"s-{number}", "x").id in answers for number in range(9)) == 3
    answers.add(_task("large", "x" * 20_000))
    assert _task("large", "").id not in answers


def _task(name: str, text: str) -> Task:
    return describe(submitted(name, input=text), None)
