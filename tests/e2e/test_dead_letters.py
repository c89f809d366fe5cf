"""What an operator does about dead letters: by HTTP and on the command line, on real Kafka."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.local.servers.server import free_port
from app.adapters.sql.dump import dump
from app.adapters.sql.opening import open_database
from tests.e2e.fleet import Fleet
from tests.e2e.letters.moody import MENDED
from tests.e2e.outside import EVERYTHING, Json, Outside, new_fleet, outside, standing
from tests.waiting import until_true

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

LETTERS = "/v1/dead-letters"
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NOT_TEXT = b'\xff\x00{"input"'
MOODY = Path(__file__).parent / "letters"


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = new_fleet(tmp_path_factory.mktemp("letters"), kafka)
    fleet.environment |= {
        "CREWLINE_CATALOG__FOLDERS": str(MOODY),
        "CREWLINE_PROJECTOR__ADMIN_PORT": str(free_port()),
        MENDED: str(fleet.folder / "mended"),
    }
    with standing(fleet):
        for process in EVERYTHING:
            fleet.start(process)
        asyncio.run(fleet.ready(within=120))
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    (fleet.folder / "mended").unlink(missing_ok=True)
    async with outside(fleet) as user:
        yield user


def mend(fleet: Fleet) -> None:
    (fleet.folder / "mended").touch()


async def letter_of(user: Outside, task_id: str, **query: str) -> Json:
    """The letter of this task that waits, whole."""
    found: list[Json] = []

    async def lies_there() -> bool:
        answer = await user.http.get(LETTERS, params={"state": "waiting", "limit": 200, **query})
        found[:] = [each for each in answer.json()["items"] if each["task_id"] == task_id]
        return bool(found)

    await until_true(lies_there)
    return dict((await user.http.get(found[0]["links"]["self"])).json())


async def post(user: Outside, path: str, body: Json | None = None) -> Json:
    answer = await user.http.post(path, json=body or {})
    assert answer.is_success, answer.text
    return dict(answer.json())


async def test_a_task_out_of_retries_is_redriven_and_completes_as_the_same_task(
    fleet: Fleet, user: Outside
) -> None:
    key = str(uuid.uuid4()).encode()
    headers = [("traceparent", TRACEPARENT.encode()), ("strange", NOT_TEXT)]
    partition, offset = await user.produce("commands.moody", b'{"input": "now"}', key, headers)
    task_id = key.decode()
    assert (await user.ended(task_id))["reason"] == "dead-lettered"

    letter = await letter_of(user, task_id, agent="moody", reason="retries-exhausted")
    assert letter["origin"]["partition"] == partition
    assert letter["origin"]["offset"] == offset
    assert letter["value"]["text"] == '{"input": "now"}'
    assert letter["trace_id"] == TRACE
    assert [(run["number"], run["state"]) for run in letter["history"]] == [
        (1, "retrying"),
        (2, "failed"),
    ]
    assert all(run["worker_id"] and run["error"]["code"] == "bad-mood" for run in letter["history"])

    mend(fleet)
    redriven = await post(user, f"{letter['links']['self']}/redrive", {"by": "ada"})
    assert (redriven["state"], redriven["settled"]["by"]) == ("redriven", "ada")
    task = await user.ended(task_id, attempt=3)
    assert (task["state"], task["attempt"], task["trace_id"]) == ("completed", 3, TRACE)
    assert task["result"]["output"] == {"attempt": 3, "asked": "now"}

    again, *_ = (await user.read("commands.moody", lambda record: record.key == key, 2))[1:]
    sent = dict(again.headers)
    assert again.value == b'{"input": "now"}'
    assert (sent["strange"], sent["traceparent"]) == (NOT_TEXT, TRACEPARENT.encode())
    assert (sent["crewline-attempts"], sent["crewline-redrives"]) == (b"2", b"1")
    assert not [name for name in sent if name.startswith("dlq-")]

    stream = await user.http.get(f"/v1/tasks/{task_id}/events")
    told = [line[7:] for line in stream.text.splitlines() if line.startswith("event: ")]
    assert told[-4:] == [
        "task.failed.v1",
        "task.redriven.v1",
        "task.started.v1",
        "task.completed.v1",
    ]
    tailed = fleet.run("tail", task_id, "--json")
    assert tailed.returncode == 0, tailed.stderr
    assert "task.completed" in tailed.stdout.splitlines()[-1]


async def test_an_edited_value_is_what_runs(fleet: Fleet, user: Outside) -> None:
    task_id = await user.submit("moody", {"input": "now"})
    await user.ended(task_id)
    letter = await letter_of(user, task_id)
    path = f"{letter['links']['self']}/redrive"
    refused = await user.http.post(path, json={"value": {"input": 7}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/value/input"

    file = fleet.folder / "edited.json"
    file.write_text(json.dumps({"input": "please"}))
    done = fleet.run("dlq", "redrive", letter["id"], "--edit", str(file))
    assert (done.returncode, done.stdout) == (0, f"{letter['id']}\tredriven\n"), done.stderr
    task = await user.ended(task_id, attempt=3)
    assert task["result"]["output"] == {"attempt": 3, "asked": "please"}


async def test_a_task_that_fails_again_comes_back_until_the_limit(
    fleet: Fleet, user: Outside
) -> None:
    task_id = await user.submit("moody", {"input": "now"})
    for redrives in range(3):
        task = await user.ended(task_id, attempt=2 * (redrives + 1))
        assert (task["state"], task["attempt"]) == ("failed", 2 * (redrives + 1))
        letter = await letter_of(user, task_id)
        assert (letter["redrives"], letter["attempts"]) == (redrives, 2 * (redrives + 1))
        opened = await post(user, f"{letter['links']['self']}/redrive")
        assert opened["state"] == "redriven"

    task = await user.ended(task_id, attempt=8)
    assert task["attempt"] == 8
    letter = await letter_of(user, task_id)
    refused = fleet.run("dlq", "redrive", letter["id"])
    assert refused.returncode == 4
    assert "redrive-limit" in refused.stderr


async def test_an_error_that_the_agent_names_is_tried_again_and_leaves_a_letter(
    fleet: Fleet, user: Outside
) -> None:
    task_id = await user.submit("refusing", {"input": "now"})
    task = await user.ended(task_id)
    assert (task["state"], task["reason"], task["attempt"]) == ("failed", "dead-lettered", 2)
    letter = await letter_of(user, task_id, agent="refusing")
    assert letter["reason"] == "retries-exhausted"
    assert letter["detail"].startswith("ConnectionError: nobody answers")

    mend(fleet)
    retried = fleet.run("retry", task_id, "--wait", "60", "--json")
    assert retried.returncode == 0, retried.stderr
    task = json.loads(retried.stdout)
    assert (task["state"], task["attempt"]) == ("completed", 3)
    settled = (await user.http.get(letter["links"]["self"])).json()
    assert settled["state"] == "redriven"


async def test_a_failed_task_without_a_letter_is_run_again_once_however_often_it_is_asked(
    fleet: Fleet, user: Outside
) -> None:
    task_id = await user.submit("mistaken", {"input": "now"})
    task = await user.ended(task_id)
    assert (task["state"], task["reason"], task["attempt"]) == ("failed", None, 1)
    mend(fleet)
    path = f"/v1/tasks/{task_id}/retry"
    answers = await asyncio.gather(*(user.http.post(path) for _ in range(5)))
    assert {each.status_code for each in answers} <= {202, 409}
    assert any(each.status_code == 202 for each in answers)
    task = await user.ended(task_id, attempt=2)
    assert (task["state"], task["attempt"]) == ("completed", 2)
    again = await user.http.post(path)
    assert (again.status_code, again.json()["code"]) == (409, "task-not-failed")
    refused = fleet.run("retry", task_id)
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "is completed" in refused.stderr
    await asyncio.sleep(2)  # what was sent twice is read by now
    events = (
        await user.http.get(f"/v1/tasks/{task_id}/events", headers={"Accept": "application/json"})
    ).json()["items"]
    assert [each["type"] for each in events] == [
        "task.started.v1",
        "task.failed.v1",
        "task.redriven.v1",
        "task.started.v1",
        "task.completed.v1",
    ]


async def test_a_discarded_letter_waits_for_nobody(fleet: Fleet, user: Outside) -> None:
    task_id = await user.submit("moody", {"input": "now"})
    await user.ended(task_id)
    letter = await letter_of(user, task_id)
    done = fleet.run("dlq", "discard", letter["id"], "--comment", "a test", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["settled"]["comment"] == "a test"
    listed = fleet.run("dlq", "list", "--state", "waiting", "--limit", "1000", "--json")
    assert letter["id"] not in listed.stdout
    assert (await user.ended(task_id))["state"] == "failed"
    assert fleet.run("dlq", "discard", letter["id"]).returncode == 4


async def test_many_are_redriven_no_faster_than_asked(fleet: Fleet, user: Outside) -> None:
    tasks = [await user.submit("moody", {"input": "now"}) for _ in range(6)]
    for task_id in tasks:
        await user.ended(task_id)
        await letter_of(user, task_id, reason="retries-exhausted")
    mend(fleet)
    began = time.monotonic()
    done = await asyncio.to_thread(
        fleet.run, "dlq", "redrive", "--all", "--agent", "moody", "--rate", "4", "--json"
    )
    assert time.monotonic() - began >= 5 / 4
    assert json.loads(done.stdout)["redriven"] >= 6
    for task_id in tasks:
        task = await user.ended(task_id, attempt=3)
        assert (task["state"], task["attempt"]) == ("completed", 3)


async def test_what_cannot_be_read_is_kept_to_the_byte_and_can_become_a_task(
    fleet: Fleet, user: Outside
) -> None:
    partition, offset = await user.produce("commands.moody", NOT_TEXT, None, [("h", NOT_TEXT)])
    found: list[Json] = []

    async def lies_there() -> bool:
        query = {"reason": "undecodable", "state": "waiting"}
        listed = (await user.http.get(LETTERS, params=query)).json()["items"]
        place = (partition, offset)
        found[:] = [
            each
            for each in listed
            if (each["origin"]["partition"], each["origin"]["offset"]) == place
        ]
        return bool(found)

    await until_true(lies_there)
    (letter,) = found
    rejected = await user.ended(letter["task_id"])
    assert rejected["state"] == "rejected"
    shown = fleet.run("dlq", "show", letter["id"], "--json")
    assert json.loads(shown.stdout)["value"] == {"text": None, "base64": "/wB7ImlucHV0Ig=="}

    await post(user, f"{letter['links']['self']}/redrive")  # as it was: it comes back
    back = await letter_of(user, letter["task_id"], reason="undecodable")
    assert (back["redrives"], back["value"]) == (1, json.loads(shown.stdout)["value"])
    rejected = await user.ended(letter["task_id"], attempt=2)
    assert (rejected["state"], rejected["attempt"]) == ("rejected", 2)

    value = {"input": "please", "labels": {"mended": "yes"}}
    await post(user, f"{back['links']['self']}/redrive", {"value": value})
    task = await user.ended(letter["task_id"], attempt=3)
    assert (task["state"], task["attempt"]) == ("completed", 3)
    assert task["result"]["output"]["asked"] == "please"


async def test_letters_are_in_the_metrics_and_a_rebuild_makes_them_anew(
    fleet: Fleet, user: Outside
) -> None:
    task_id = await user.submit("moody", {"input": "now"})
    await user.ended(task_id)
    await letter_of(user, task_id)
    port = fleet.environment["CREWLINE_PROJECTOR__ADMIN_PORT"]

    async def counted() -> bool:
        text = (await user.http.get(f"http://127.0.0.1:{port}/metrics")).text
        return any(
            sample.labels.get("reason") == "retries-exhausted" and sample.value >= 1
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "crewline_dead_letters_waiting"
        )

    await until_true(counted, within=40)
    checked = fleet.run("rebuild", "--check")
    assert (checked.returncode, checked.stdout) == (0, "The views are what the log says.\n"), (
        checked.stderr
    )
    before = await _views(fleet)
    assert any('"crewline_dead_letters"' in line for line in before)
    assert await fleet.stop("projector") == 0
    assert fleet.run("rebuild").returncode == 0
    assert await _views(fleet) == before
    fleet.start("projector")


async def _views(fleet: Fleet) -> list[str]:
    async with open_database(fleet.store) as database:
        return await dump(database)
