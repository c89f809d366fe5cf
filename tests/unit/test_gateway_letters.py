"""Dead letters over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import httpx
import pytest

from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason, Origin
from app.domain.model.events import TaskCanceled, TaskCompleted, TaskRedriven
from app.domain.model.letters import LetterRedriven
from app.domain.model.lifecycle import Reason
from app.domain.model.messages import Message
from app.ports.event_log import EventLog, LogUnavailable
from tests.builders import (
    ANALYST,
    TRACEPARENT,
    at,
    canceled,
    completed,
    failed,
    progressed,
    rejected,
    started,
    submitted,
    task_id,
)
from tests.contracts.dead_letters import NOT_TEXT
from tests.gateway_under_test import Gateway

PATH = "/v1/dead-letters"
TOPIC = f"crewline.commands.{ANALYST}"


def letter(name: str = "t-1", **changes: Any) -> DeadLetter:
    """That of a task that failed for good in its second run."""
    command = submitted(name)
    origin = Origin(
        topic=TOPIC,
        partition=1,
        offset=changes.pop("offset", 7),
        timestamp=command.submitted_at,
        key=command.id.encode(),
        value=changes.pop("value", command.model_dump_json().encode()),
        headers=(("traceparent", TRACEPARENT.encode()), ("strange", NOT_TEXT)),
    )
    whole = DeadLetter(
        origin=origin,
        reason=DeadLetterReason.RETRIES_EXHAUSTED,
        detail="the model is away",
        task_id=command.id,
        at=at(20),
        agent=ANALYST,
        attempts=2,
    )
    return whole.model_copy(update=changes)


async def die(gateway: Gateway, name: str = "t-1", **changes: Any) -> DeadLetter:
    """Let a task fail for good, and its message become a letter."""
    buried = letter(name, **changes)
    await gateway.log.put_letter(buried)
    await gateway.happen(
        submitted(name, traceparent=TRACEPARENT),
        started(name),
        started(name, 2, after=10),
        failed(name, 2, 2, code="model-unavailable", reason=Reason.DEAD_LETTERED),
    )
    return buried


def logged(gateway: Gateway, kind: type[Message]) -> list[Any]:
    return [
        record.message
        for shard in gateway.log.ends()
        for record in gateway.log.records(shard)
        if isinstance(record.message, kind)
    ]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


async def test_a_letter_tells_what_it_is_and_what_became_of_its_task(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway)
    answer = await client.get(f"{PATH}/{buried.id}")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["state"], shown["reason"]) == ("waiting", "retries-exhausted")
    assert shown["origin"] == {
        "topic": TOPIC,
        "partition": 1,
        "offset": 7,
        "timestamp": "2026-01-01T00:00:00.000Z",
    }
    assert shown["key"] == {"text": task_id(), "base64": None}
    assert '"What is Kafka?"' in shown["value"]["text"]
    assert shown["headers"][1] == {"name": "strange", "value": {"text": None, "base64": "/wD+"}}
    assert shown["trace_id"] == TRACEPARENT.split("-")[1]
    assert [(each["number"], each["state"]) for each in shown["history"]] == [
        (1, "interrupted"),
        (2, "failed"),
    ]
    assert shown["history"][1]["error"]["code"] == "model-unavailable"
    assert shown["links"] == {"self": f"{PATH}/{buried.id}", "task": f"/v1/tasks/{task_id()}"}
    known = {"If-None-Match": answer.headers["etag"]}
    assert (await client.get(f"{PATH}/{buried.id}", headers=known)).status_code == 304


@pytest.mark.parametrize("unknown", ["nothing", task_id("nobody"), "redrive"])
@pytest.mark.parametrize("action", ["", "/redrive", "/discard"])
async def test_an_unknown_letter_is_not_found(
    client: httpx.AsyncClient, unknown: str, action: str
) -> None:
    path = f"{PATH}/{unknown}{action}"
    answer = await (client.post(path) if action else client.get(path))
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown-dead-letter"


async def test_pages_of_letters_are_linked(gateway: Gateway, client: httpx.AsyncClient) -> None:
    for number in range(5):
        await gateway.log.put_letter(letter(offset=number, at=at(number)))
    await gateway.happen()
    path, seen = f"{PATH}?limit=2&agent={ANALYST}", []
    while path:
        answer = await client.get(path)
        seen += [each["origin"]["offset"] for each in answer.json()["items"]]
        path = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == [4, 3, 2, 1, 0]
    assert "value" not in answer.json()["items"][0]
    until = (await client.get(PATH, params={"until": "2026-01-01T00:00:02Z"})).json()
    assert [each["origin"]["offset"] for each in until["items"]] == [1, 0]


@pytest.mark.parametrize(
    "query", ["reason=tired", "state=lost", "since=soon", "limit=0", "cursor=x", "color=red"]
)
async def test_a_wish_that_cannot_be_read_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"{PATH}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


async def test_a_redriven_task_is_open_again_at_once_under_its_id_and_in_its_trace(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway)
    answer = await client.post(f"{PATH}/{buried.id}/redrive", json={"by": "ada"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "redriven"
    assert answer.json()["settled"]["by"] == "ada"
    _, again = logged(gateway, SubmitTask)
    assert (again.id, again.traceparent) == (task_id(), TRACEPARENT)
    assert again.earlier._replace(redriven_at=None) == Earlier(2, 0, redrives=1)
    assert again.earlier.redriven_at is not None
    task = (await client.get(f"/v1/tasks/{task_id()}")).json()
    assert (task["state"], task["reason"], task["attempt"]) == ("submitted", "queued", 2)
    listed = (await client.get(PATH, params={"state": "waiting"})).json()
    assert listed["items"] == []
    told = await client.get(f"/v1/tasks/{task_id()}/events", headers={"Accept": "application/json"})
    assert [each["type"] for each in told.json()["items"]][-2:] == [
        "task.failed.v1",
        "task.redriven.v1",
    ]
    await gateway.happen(started(attempt=3), completed(attempt=3))
    task = (await client.get(f"/v1/tasks/{task_id()}")).json()
    assert (task["state"], task["attempt"]) == ("completed", 3)


async def test_a_reader_who_was_told_of_the_failure_is_told_of_the_redrive(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    asked = {"agent": ANALYST, "input": "What is Kafka?", "id": task_id()}
    wait = {"Prefer": "wait=5"}
    waiting = asyncio.create_task(client.post("/v1/tasks", json=asked, headers=wait))
    while not logged(gateway, SubmitTask):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    buried = await die(gateway)
    assert (await waiting).json()["state"] == "failed"
    await client.post(f"{PATH}/{buried.id}/redrive")
    assert (await client.get(f"/v1/tasks/{task_id()}")).json()["state"] == "submitted"


async def test_a_settled_letter_is_not_settled_again(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    for offset, (action, name) in enumerate([("redrive", "a"), ("discard", "b")]):
        buried = await die(gateway, name, offset=offset)
        assert (await client.post(f"{PATH}/{buried.id}/{action}")).is_success
        for repeat in ("redrive", "discard"):
            answer = await client.post(f"{PATH}/{buried.id}/{repeat}")
            assert answer.status_code == 409
            assert answer.json()["code"] == "dead-letter-settled"


async def test_of_two_redrives_at_once_one_is_refused(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway)
    asked = [client.post(f"{PATH}/{buried.id}/redrive") for _ in range(2)]
    assert sorted(each.status_code for each in await asyncio.gather(*asked)) == [202, 409]
    assert len(logged(gateway, SubmitTask)) == 2


async def test_a_message_comes_back_only_so_often(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway, redrives=3)
    answer = await client.post(f"{PATH}/{buried.id}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "redrive-limit")
    assert len(logged(gateway, SubmitTask)) == 1


async def test_a_task_the_letter_did_not_end_is_left_alone(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    stray = letter()
    await gateway.log.put_letter(stray)
    await gateway.happen(submitted(), started(), completed())
    answer = await client.post(f"{PATH}/{stray.id}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "task-not-dead")


@pytest.mark.parametrize(
    "stray",
    [
        {"reason": DeadLetterReason.UNDECODABLE, "value": b"no json"},
        {"reason": DeadLetterReason.UNKNOWN_AGENT, "agent": "writer"},
    ],
)
@pytest.mark.parametrize("body", [{}, {"value": {"input": "x"}}])
async def test_a_stray_letter_reopens_no_task_that_ended_otherwise_in_a_run_of_its_number(
    gateway: Gateway, client: httpx.AsyncClient, stray: dict[str, Any], body: dict[str, Any]
) -> None:
    buried = await die(gateway)
    other = letter(offset=8, **stray)
    await gateway.log.put_letter(other)
    await gateway.happen()
    answer = await client.post(f"{PATH}/{other.id}/redrive", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "task-not-dead")
    assert not logged(gateway, TaskRedriven)
    assert (await client.post(f"{PATH}/{buried.id}/redrive")).status_code == 202
    assert len(logged(gateway, SubmitTask)) == 2


async def test_a_task_that_ended_once_more_after_a_crash_is_opened_after_its_last_run(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await gateway.happen(submitted(), started(), failed())
    again = failed(attempt=2, sequence=3, after=11)
    await gateway.happen(started(attempt=2, after=10), progressed(attempt=2, after=10), again)
    buried = letter()  # that of the second run, which nobody knew to be one too many
    await gateway.log.put_letter(buried)
    await gateway.happen()
    assert (await client.post(f"{PATH}/{buried.id}/redrive")).status_code == 202
    (told,) = logged(gateway, TaskRedriven)
    assert (told.attempt, told.sequence) == (2, 4)
    assert (await client.get(f"/v1/tasks/{task_id()}")).json()["state"] == "submitted"
    await gateway.happen(started(attempt=3), completed(attempt=3))
    assert (await client.get(f"/v1/tasks/{task_id()}")).json()["state"] == "completed"


@pytest.mark.parametrize("ending", [completed(), canceled()])
async def test_a_failure_that_came_after_the_end_brings_no_task_back(
    gateway: Gateway, client: httpx.AsyncClient, ending: TaskCompleted | TaskCanceled
) -> None:
    buried = letter()
    await gateway.log.put_letter(buried)
    await gateway.happen(submitted(), started(), ending)
    await gateway.happen(started(attempt=2, after=10), failed(attempt=2, after=11))
    answer = await client.post(f"{PATH}/{buried.id}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (409, "task-not-dead")
    assert len(logged(gateway, SubmitTask)) == 1


async def test_an_undecodable_message_comes_back_as_the_task_it_ended(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = letter(value=b"no json", attempts=1, reason=DeadLetterReason.UNDECODABLE)
    await gateway.log.put_letter(buried)
    await gateway.happen(rejected(code="undecodable", reason=Reason.DEAD_LETTERED))
    answer = await client.post(f"{PATH}/{buried.id}/redrive", json={"value": {"input": "x"}})
    assert answer.status_code == 202, answer.text
    assert [each.attempt for each in logged(gateway, TaskRedriven)] == [1]


async def test_an_edited_value_is_sent_instead(gateway: Gateway, client: httpx.AsyncClient) -> None:
    buried = await die(gateway)
    value = {"input": "What is a log?", "parameters": {"depth": 3}}
    answer = await client.post(f"{PATH}/{buried.id}/redrive", json={"value": value})
    assert answer.status_code == 202, answer.text
    assert answer.json()["settled"]["edited"] is True
    _, again = logged(gateway, SubmitTask)
    assert (again.id, again.input, again.parameters) == (task_id(), value["input"], {"depth": 3})
    assert again.earlier._replace(redriven_at=None) == Earlier(2, 0, 1)
    assert again.traceparent == TRACEPARENT


async def test_what_a_letter_shows_can_be_edited_and_sent_back(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    body = submitted().model_dump_json()[:-1] + ',"added_later":1}'
    buried = await die(gateway, value=body.encode())
    shown = (await client.get(f"{PATH}/{buried.id}")).json()["value"]["text"]
    answer = await client.post(
        f"{PATH}/{buried.id}/redrive",
        content=f'{{"value": {shown}}}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({}, "/value/input"),
        ({"input": 7}, "/value/input"),
        ({"input": ""}, "/value/input"),
        ({"input": "x", "id": task_id("another")}, "/value/id"),
        ({"input": "x", "agent": "writer"}, "/value/agent"),
        ({"input": "x", "inptu": "y"}, "/value/inptu"),
        ({"input": "x", "timeout_seconds": -1}, "/value/timeout_seconds"),
        ({"input": "x", "budget": {"max_tokns": 5}}, "/value/budget/max_tokns"),
        ({"input": "x", "earlier": [9, 9, 9]}, "/value/earlier"),
        ("text", "/value"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_where_it_does_not(
    gateway: Gateway, client: httpx.AsyncClient, value: object, pointer: str
) -> None:
    buried = await die(gateway)
    answer = await client.post(f"{PATH}/{buried.id}/redrive", json={"value": value})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert len(logged(gateway, SubmitTask)) == 1


async def test_a_message_too_large_to_be_kept_needs_a_value(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway, value=None)
    assert (await client.get(f"{PATH}/{buried.id}")).json()["value"] is None
    answer = await client.post(f"{PATH}/{buried.id}/redrive")
    assert (answer.status_code, answer.json()["code"]) == (422, "value-omitted")
    answer = await client.post(f"{PATH}/{buried.id}/redrive", json={"value": {"input": "short"}})
    assert answer.status_code == 202


async def test_a_letter_of_no_known_task_becomes_one_with_a_value(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = letter(value=b"no json", task_id=None, reason=DeadLetterReason.UNDECODABLE)
    await gateway.log.put_letter(buried)
    await gateway.happen()
    answer = await client.post(f"{PATH}/{buried.id}/redrive", json={"value": {"input": "x"}})
    assert answer.status_code == 202, answer.text
    (made,) = logged(gateway, SubmitTask)
    assert answer.json()["task_id"] == made.id


class Hiccup(EventLog):
    """Refuses the first message of one kind."""

    def __init__(self, inner: EventLog, kind: type[Message]) -> None:
        self._inner = inner
        self._kind: type[Message] | None = kind

    async def append(self, message: Message) -> Awaitable[None]:
        if self._kind is not None and isinstance(message, self._kind):
            self._kind = None
            raise LogUnavailable("it was not recorded")
        return await self._inner.append(message)


@pytest.mark.parametrize("step", [TaskRedriven, SubmitTask, LetterRedriven])
async def test_a_redrive_that_broke_off_is_completed_by_a_repeat(step: type[Message]) -> None:
    gateway = Gateway()
    hiccup = Hiccup(gateway.log, step)
    gateway = Gateway(log=gateway.log, asked_log=hiccup, redelivery_log=hiccup)
    async with gateway.client() as client:
        buried = await die(gateway)
        answer = await client.post(f"{PATH}/{buried.id}/redrive")
        assert (answer.status_code, answer.json()["code"]) == (503, "log-unavailable")
        await gateway.happen()
        assert (await client.get(f"{PATH}/{buried.id}")).json()["state"] == "waiting"
        assert (await client.post(f"{PATH}/{buried.id}/redrive")).status_code == 202
        (told,) = logged(gateway, TaskRedriven)
        assert (told.attempt, told.sequence, told.redrives) == (2, 3, 1)
        again = logged(gateway, SubmitTask)[1:]
        assert {each.earlier[:3] for each in again} == {(2, 0, 1)}


async def test_a_repeat_sends_nothing_more_once_the_task_runs_again(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway)
    reopened = TaskRedriven(
        **failed(attempt=2, sequence=3).model_dump(exclude={"error", "reason", "usage"}),
        redrives=1,
    )
    await gateway.happen(reopened, started(attempt=3))  # the letter was not settled: a crash
    assert (await client.post(f"{PATH}/{buried.id}/redrive")).status_code == 202
    assert len(logged(gateway, SubmitTask)) == 1
    assert logged(gateway, LetterRedriven)


async def test_a_discarded_letter_stays_to_be_read(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    buried = await die(gateway)
    asked = {"comment": "a test of ours", "by": "ada"}
    answer = await client.post(f"{PATH}/{buried.id}/discard", json=asked)
    assert (answer.status_code, answer.json()["state"]) == (200, "discarded")
    shown = (await client.get(f"{PATH}/{buried.id}")).json()
    assert shown["settled"]["comment"] == "a test of ours"
    assert (await client.get(f"/v1/tasks/{task_id()}")).json()["state"] == "failed"


@pytest.mark.parametrize("body", [{"comment": 7}, {"why": "x"}, {"by": ""}, []])
async def test_a_body_that_does_not_fit_is_refused(
    gateway: Gateway, client: httpx.AsyncClient, body: object
) -> None:
    buried = await die(gateway)
    answer = await client.post(f"{PATH}/{buried.id}/discard", json=body)
    assert answer.status_code == 422


async def test_many_are_redriven_at_a_rate_the_oldest_first(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    for number in range(6):
        await die(gateway, f"t-{number}", offset=number, at=at(number))
    began = time.perf_counter()
    asked = {"filter": {"agent": ANALYST}, "rate_per_second": 20, "limit": 4}
    answer = await client.post(f"{PATH}/redrive", json=asked)
    assert answer.status_code == 200, answer.text
    assert time.perf_counter() - began >= 3 / 20
    done = answer.json()
    assert (done["redriven"], done["refused"]) == (4, [])
    again = [each.id for each in logged(gateway, SubmitTask) if each.earlier.redrives]
    assert sorted(again) == sorted(task_id(f"t-{number}") for number in range(4))
    waiting = (await client.get(PATH, params={"state": "waiting"})).json()["items"]
    assert [each["origin"]["offset"] for each in waiting] == [5, 4]
    on = {"filter": done["filter"], "cursor": done["next_cursor"], "rate_per_second": 1_000}
    rest = (await client.post(f"{PATH}/redrive", json=on)).json()
    assert (rest["redriven"], rest["next_cursor"]) == (2, None)


async def test_those_refused_among_many_are_named_and_passed_over(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    tired = await die(gateway, "t-0", offset=0, redrives=3)
    await die(gateway, "t-1", offset=1)
    done = (await client.post(f"{PATH}/redrive", json={})).json()
    assert (done["redriven"], done["next_cursor"]) == (1, None)
    (refused,) = done["refused"]
    assert (refused["id"], refused["code"]) == (tired.id, "redrive-limit")


async def test_what_comes_back_meanwhile_is_left_for_the_next_time(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    await die(gateway, "t-0", at=gateway.clock.now().replace(year=9_000))
    done = (await client.post(f"{PATH}/redrive", json={})).json()
    assert (done["redriven"], done["refused"]) == (0, [])


async def test_a_gateway_that_drains_answers_with_what_is_done(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    for number in range(3):
        await die(gateway, f"t-{number}", offset=number)
    asked = client.post(f"{PATH}/redrive", json={"rate_per_second": 0.1})
    redriving = asyncio.create_task(asked)
    while not logged(gateway, LetterRedriven):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    gateway.draining.begin()
    async with asyncio.timeout(5):
        done = (await redriving).json()
    assert done["redriven"] == 1
    assert done["next_cursor"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"rate_per_second": 0}, "/rate_per_second"),
        ({"limit": 10**6}, "/limit"),
        ({"filter": {"reason": "tired"}}, "/filter/reason"),
        ({"cursor": "x"}, "/cursor"),
        ({"filter": {"color": "red"}}, "/filter/color"),
    ],
)
async def test_a_wish_for_many_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, body: object, pointer: str
) -> None:
    answer = await client.post(f"{PATH}/redrive", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_the_document_describes_every_operation(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for path, method in (
        (PATH, "get"),
        (f"{PATH}/{{letter_id}}", "get"),
        (f"{PATH}/redrive", "post"),
        (f"{PATH}/{{letter_id}}/redrive", "post"),
        (f"{PATH}/{{letter_id}}/discard", "post"),
    ):
        operation = document["paths"][path][method]
        assert operation["summary"]
        assert {"default", "503"} <= operation["responses"].keys()
    for name in ("RedriveRequest", "DiscardRequest", "RedriveManyRequest", "LetterResource"):
        assert name in document["components"]["schemas"]
