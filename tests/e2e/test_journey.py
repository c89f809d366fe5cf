"""One task, by every way in: over HTTP, on the command line, and as a record on Kafka."""

import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.outside import EVERYTHING, Headers, Json, Outside, Read, new_fleet, outside, standing

pytestmark = pytest.mark.kafka

BRIEF = "a marketplace for second-hand bikes, three cities, 50,000 users, GDPR"
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = new_fleet(tmp_path_factory.mktemp("journey"), kafka)
    with standing(fleet, *EVERYTHING):
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


def assert_analysed(task: Json) -> None:
    """It is a finished business analysis, with its document."""
    assert (task["state"], task["agent"], task["runtime"]) == (
        "completed",
        "business-analyst",
        "rules",
    )
    (artifact,) = task["result"]["artifacts"]
    assert artifact["media_type"] == "text/markdown"
    assert artifact["content"].startswith("# ")
    assert "GDPR" in artifact["content"]
    assert task["result"]["output"]["domain"] == "marketplace"
    assert task["attempt"] == 1


# --- over HTTP


async def test_a_task_is_accepted_waited_for_read_and_listed(user: Outside) -> None:
    body = {"agent": "business-analyst", "input": BRIEF, "labels": {"order": "4711"}}
    accepted = await user.http.post("/v1/tasks", json=body)
    assert accepted.status_code == 202
    where = accepted.headers["location"]
    assert where == f"/v1/tasks/{accepted.json()['id']}"
    assert float(accepted.headers["retry-after"]) > 0

    task = await user.ended(accepted.json()["id"])
    assert_analysed(task)
    shown = await user.http.get(where)
    assert shown.json() == task
    assert "retry-after" not in shown.headers
    unchanged = await user.http.get(where, headers={"If-None-Match": shown.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")

    page = (await user.http.get("/v1/tasks", params={"label": "order:4711"})).json()
    assert [each["id"] for each in page["items"]] == [task["id"]]
    assert page["next_cursor"] is None
    nothing = (await user.http.get("/v1/tasks", params={"label": "order:4712"})).json()
    assert nothing["items"] == []


async def test_a_task_can_be_read_the_moment_it_is_accepted(user: Outside) -> None:
    for _ in range(10):
        body = {"agent": "business-analyst", "input": BRIEF}
        accepted = await user.http.post("/v1/tasks", json=body)
        assert (await user.http.get(accepted.headers["location"])).status_code == 200


async def test_whoever_prefers_to_wait_gets_the_finished_task_at_once(user: Outside) -> None:
    answer = await user.http.post(
        "/v1/tasks",
        json={"agent": "business-analyst", "input": BRIEF},
        headers={"Prefer": "wait=20", "traceparent": TRACEPARENT},
    )
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "wait=20"
    assert_analysed(answer.json())
    assert answer.json()["trace_id"] == TRACE


async def test_waiting_ends_with_202_where_the_task_takes_longer(user: Outside) -> None:
    body = {"agent": "sleeper", "input": "sleep", "parameters": {"seconds": 8}}
    answer = await user.http.post("/v1/tasks", json=body, headers={"Prefer": "wait=4"})
    assert answer.status_code == 202
    assert answer.json()["state"] == "working"
    assert (await user.ended(answer.json()["id"]))["result"]["output"] == {"slept": 8}


async def test_its_events_tell_the_same_as_a_stream_and_as_a_list(user: Outside) -> None:
    task_id = await user.submit("business-analyst", {"input": BRIEF})
    async with user.http.stream("GET", f"/v1/tasks/{task_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in stream.aiter_lines()]  # it ends by itself
    streamed = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [event["sequence"] for event in streamed] == list(range(1, len(streamed) + 1))
    assert streamed[0]["type"] == "task.started.v1"
    assert streamed[-1]["type"] == "task.completed.v1"
    assert "trace.step.v1" in {event["type"] for event in streamed}

    task = await user.ended(task_id)
    assert streamed[-1]["result"] == task["result"]
    as_json = {"Accept": "application/json"}
    listed = (await user.http.get(f"/v1/tasks/{task_id}/events", headers=as_json)).json()
    assert listed["items"] == streamed


@pytest.mark.parametrize("agent", ["talker", "isolated-talker"])
@pytest.mark.parametrize(
    ("end", "last"), [("well", "completed"), ("fail", "failed"), ("wait", "canceled")]
)
async def test_whoever_reads_until_the_last_event_has_the_whole_text(
    user: Outside, agent: str, end: str, last: str
) -> None:
    said = " ".join(f"word{number}" for number in range(20))
    for _ in range(4):
        body = {"input": said, "parameters": {"end": end}}
        task_id = await user.submit(agent, body)
        text, events = "", list[Json]()
        async with user.http.stream("GET", f"/v1/tasks/{task_id}/events") as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data: "):
                    continue
                events.append(json.loads(line[6:]))
                text += events[-1].get("text", "")
                if events[-1].get("message") == "waiting":
                    await user.http.post(f"/v1/tasks/{task_id}/cancel")
                if events[-1]["type"] == f"task.{last}.v1":
                    break  # as a client does that has seen the end
        assert text.split() == said.split()
        assert [each["sequence"] for each in events] == list(range(1, len(events) + 1))


# --- on the command line


def test_submit_wait_prints_the_document_and_ends_with_0(fleet: Fleet) -> None:
    said = fleet.run("submit", "business-analyst", BRIEF, "--wait")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith("# ")
    assert "GDPR" in said.stdout


def test_submit_follow_shows_the_events_beside_the_document(fleet: Fleet) -> None:
    said = fleet.run("submit", "business-analyst", BRIEF, "--follow")
    assert said.returncode == 0
    assert said.stdout.startswith("# ")
    events = said.stderr.splitlines()
    assert "task.started" in events[0]
    assert "task.completed" in events[-1]


def test_an_id_that_submit_prints_leads_to_status_tail_and_list(fleet: Fleet) -> None:
    task_id = fleet.run("submit", "business-analyst", BRIEF, "--label", "by=cli").stdout.strip()
    assert fleet.run("status", task_id, "--wait").stdout.startswith("# ")
    as_json = json.loads(fleet.run("status", task_id, "--json").stdout)
    assert as_json["id"] == task_id
    assert_analysed(as_json)
    tailed = fleet.run("tail", task_id, "--json")
    assert tailed.returncode == 0
    assert json.loads(tailed.stdout.splitlines()[-1])["type"] == "task.completed.v1"
    (row,) = fleet.run("list", "--label", "by=cli").stdout.splitlines()
    assert row.split("\t")[:3] == [task_id, "completed", "business-analyst"]
    listed = json.loads(fleet.run("list", "--label", "by=cli", "--json").stdout)
    left_out = {"input", "parameters", "result"}  # lists are of bounded size
    shown = {name: value for name, value in as_json.items() if name not in left_out}
    assert listed["items"] == [shown]


def test_agents_lists_the_shipped_ones_and_ours(fleet: Fleet) -> None:
    names = {line.split("\t")[0] for line in fleet.run("agents").stdout.splitlines()}
    assert {"business-analyst", "solution-architect", "developer", "sleeper"} <= names
    listed = json.loads(fleet.run("agents", "--json").stdout)
    assert {agent["name"] for agent in listed["items"]} == names


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["submit", "sleeper", "x", "--param", "seconds=soon", "--wait"], 1, "agent-error"),
        (["submit", "sleeper", "x", "--wait=soon"], 2, "--wait"),
        (["list", "--url", "http://127.0.0.1:1"], 3, "no gateway answers"),
        (["submit", "nobody", "x"], 4, "unknown-agent"),
        (["submit", "business-analyst", ""], 4, "invalid"),
        (["submit", "business-analyst", "x", "--runtime", "python"], 4, "unknown-runtime"),
        (["status", "0198c0de-0000-7000-8000-000000000000"], 4, "unknown-task"),
        (["submit", "sleeper", "x", "--param", "seconds=8", "--wait", "4"], 5, "working"),
    ],
)
def test_the_exit_code_says_what_went_wrong(
    fleet: Fleet, arguments: list[str], code: int, said: str
) -> None:
    ended = fleet.run(*arguments)
    assert ended.returncode == code
    assert said in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


# --- as a record on Kafka


class Sent(NamedTuple):
    body: Json
    key: bytes | None
    headers: Headers


TRACED = [("traceparent", TRACEPARENT.encode())]
BINARY = [
    *TRACED,
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_source", b"/tests"),
    ("ce_type", b"crewline.task.submit.v1"),
    ("content-type", b"application/json"),
]
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]


async def test_plain_json_without_key_and_headers_is_a_task(user: Outside) -> None:
    body = {"input": BRIEF, "labels": {"by": "plain"}}
    await user.produce("commands.business-analyst", json.dumps(body).encode())
    task = await user.labelled("by:plain")
    assert_analysed(task)
    assert uuid.UUID(task["id"]).version == 5  # made of the coordinates: a redelivery is the same


def binary(task_id: str) -> Sent:
    return Sent({"input": BRIEF}, None, [*BINARY, ("ce_subject", task_id.encode())])


def structured(task_id: str) -> Sent:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/tests",
        "type": "crewline.task.submit.v1",
        "subject": task_id,
        "traceparent": TRACEPARENT,
        "data": {"input": BRIEF},
    }
    return Sent(event, None, STRUCTURED)


def keyed(task_id: str) -> Sent:
    return Sent({"input": BRIEF}, task_id.encode(), TRACED)


def named(task_id: str) -> Sent:
    return Sent({"id": task_id, "input": BRIEF}, b"any key", TRACED)


@pytest.mark.parametrize("way", [keyed, named, binary, structured])
async def test_a_record_can_bring_its_id_and_its_trace(
    user: Outside, way: Callable[[str], Sent]
) -> None:
    task_id = str(uuid.uuid4())
    sent = way(task_id)
    await user.produce(
        "commands.business-analyst", json.dumps(sent.body).encode(), sent.key, sent.headers
    )
    task = await user.ended(task_id)
    assert_analysed(task)
    assert (task["id"], task["trace_id"]) == (task_id, TRACE)


async def test_the_same_record_twice_is_one_task_that_runs_once(user: Outside) -> None:
    task_id = str(uuid.uuid4())
    body = json.dumps({"input": "sleep"}).encode()
    for _ in range(2):
        await user.produce("commands.sleeper", body, task_id.encode(), partition=0)
    behind = str(uuid.uuid4())
    await user.produce("commands.sleeper", body, behind.encode(), partition=0)
    await user.ended(task_id)
    await user.ended(behind)
    entries = [entry.what for entry in user.fleet.ledger if entry.task_id == task_id]
    assert entries == ["began", "ended"]


async def test_the_result_can_be_read_from_kafka_too(user: Outside) -> None:
    task_id = await user.submit("business-analyst", {"input": BRIEF})

    def ends_it(record: Read) -> bool:
        completed = ("ce_type", b"crewline.task.completed.v1")
        return record.key == task_id.encode() and completed in record.headers

    (record,) = await user.read("results", ends_it)
    assert json.loads(record.value)["result"] == (await user.ended(task_id))["result"]


def offered(fleet: Fleet, *words: str) -> list[str]:
    """What bash would offer for the last of these words at the tab key."""
    program = Path(sys.executable).with_name("crewline")
    asked = {
        "_CREWLINE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("crewline", *words)),
        "COMP_CWORD": str(len(words)),
    }
    said = subprocess.run(
        [program],
        check=False,
        env=fleet.environ() | asked,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.stderr == ""
    return said.stdout.split()


async def test_the_tab_key_offers_agents_states_and_ids(fleet: Fleet, user: Outside) -> None:
    body = {"agent": "business-analyst", "input": BRIEF}
    task_id = (await user.http.post("/v1/tasks", json=body)).json()["id"]
    await user.ended(task_id)
    assert offered(fleet, "submit", "busi") == ["business-analyst"]
    assert offered(fleet, "list", "--agent", "solu") == ["solution-architect"]
    assert offered(fleet, "list", "--state", "failed,comp") == ["failed,completed"]
    assert offered(fleet, "status", task_id[:-4]) == [task_id]
    assert offered(fleet, "cancel", task_id[:-4]) == [], "it has ended"
    assert offered(fleet, "dlq", "list", "--reason", "pois") == ["poison"]


def test_the_tab_key_offers_nothing_where_no_gateway_answers(fleet: Fleet) -> None:
    fleet.environment["CREWLINE_URL"] = "http://127.0.0.1:9"
    try:
        assert offered(fleet, "submit", "busi") == []
    finally:
        del fleet.environment["CREWLINE_URL"]
