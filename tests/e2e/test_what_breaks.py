"""What a broker or a schema breaks on is run once, and told as what it is."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError

from app.adapters.kafka.connection import KafkaConnection
from tests.e2e.fleet import Fleet
from tests.e2e.outside import EVERYTHING, Json, Outside, new_fleet, outside, standing, start
from tests.waiting import until_true

pytestmark = [pytest.mark.kafka, pytest.mark.alone, pytest.mark.timeout(300)]

LARGEST = 50_000
HUGE = "1" + "0" * 400


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with standing(new_fleet(tmp_path_factory.mktemp("breaks"), kafka)) as fleet:
        start(fleet, *EVERYTHING)
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


@pytest.fixture
async def narrow(user: Outside) -> None:
    """Have the operator let the results' batches be less than a run may make."""
    fleet = user.fleet
    admin = AIOKafkaAdminClient(**KafkaConnection(fleet.kafka).admin_settings())
    await admin.start()
    topic, limit = f"{fleet.prefix}.results", {"max.message.bytes": str(LARGEST)}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, limit)])
    await admin.close()

    async def holds() -> bool:
        try:
            await user.produce("results", bytes(LARGEST))
        except MessageSizeTooLargeError:
            return True
        return False

    await until_true(holds, 30)


def runs_of(fleet: Fleet, task_id: str) -> int:
    return sum(entry.task_id == task_id for entry in fleet.ledger)


def assert_kept(task: Json, characters: int) -> None:
    """The failed task shows the beginning of its result, and says where all of it lies."""
    assert re.fullmatch("x{100,10000}", task["result"]["output"])
    found = re.search(r"all of it is kept by \S+ in (\S+\.json)", task["error"]["message"])
    assert found is not None
    whole = Path(found[1])
    assert json.loads(whole.read_text())["output"] == "x" * characters
    assert whole.stat().st_mode & 0o077 == 0


async def test_a_result_over_the_limit_is_kept_and_its_agent_was_told_what_fits(
    user: Outside,
) -> None:
    task_id = await user.submit("producer", {"parameters": {"characters": 2_000_000}})
    task = await user.ended(task_id)
    assert (task["state"], task["error"]["code"]) == ("failed", "payload-too-large")
    assert runs_of(user.fleet, task_id) == 1
    assert "2,000,0" in task["error"]["message"]
    assert " fit; " in task["error"]["message"]
    assert_kept(task, 2_000_000)
    shown = user.fleet.run("status", task_id)
    assert "all of it is kept by" in shown.stdout

    # what the context says fits, does; with the quotes and names around the text
    fitting = {"parameters": {"characters": "all that fits"}}
    for agent in ("producer", "isolated-producer"):
        task = await user.ended(await user.submit(agent, fitting))
        assert task["state"] == "completed", task["error"]
        assert len(task["result"]["output"]) > 900_000


@pytest.mark.usefixtures("narrow")
async def test_a_result_the_topic_does_not_take_fails_its_task_after_one_run(
    user: Outside,
) -> None:
    task_id = await user.submit("producer", {"parameters": {"characters": 200_000}})
    task = await user.ended(task_id)
    assert (task["state"], task["error"]["code"]) == ("failed", "payload-too-large")
    assert task["attempt"] == 1
    assert runs_of(user.fleet, task_id) == 1
    assert_kept(task, 200_000)


@pytest.mark.usefixtures("narrow")
async def test_results_the_topic_does_not_take_at_once_are_all_told_after_one_run_each(
    user: Outside,
) -> None:
    body = {"parameters": {"characters": 9_000}}
    ids = [await user.submit("producer", body) for _ in range(12)]
    assert {(await user.ended(each))["state"] for each in ids} == {"completed"}
    assert [runs_of(user.fleet, each) for each in ids] == [1] * 12


async def test_an_agent_that_blocks_its_worker_is_named_and_given_up_and_others_run_on(
    user: Outside,
) -> None:
    blocker = await user.submit("blocker", {"parameters": {"seconds": 12}})
    beside = await user.submit("sleeper", {"parameters": {"seconds": 2}})
    task = await user.ended(blocker, 200)
    assert (task["state"], task["error"]["code"]) == ("failed", "poison")
    assert 3 <= runs_of(user.fleet, blocker) <= 4  # the first may not have been noted in time
    assert (await user.ended(beside))["state"] == "completed"
    log = user.fleet.log_of("worker")
    lines = [json.loads(line) for line in log.splitlines() if "event loop is blocked" in line]
    assert {(line["agent"], line["task_id"]) for line in lines} == {("blocker", blocker)}
    assert all("tests/e2e/agents.py" in line["at"] for line in lines)


async def test_a_number_no_schema_can_reckon_with_is_refused_on_every_way_in(
    user: Outside,
) -> None:
    body = f'{{"agent": "measurer", "input": {{"amount": {HUGE}}}}}'
    answer = await user.http.post(
        "/v1/tasks", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "cannot be checked" in answer.text
    value = f'{{"input": {{"amount": {HUGE}}}}}'
    where = await user.produce("commands.measurer", value.encode())

    def is_ours(record: object) -> bool:
        headers = dict(record.headers)  # type: ignore[attr-defined]
        place = (headers.get("dlq-topic"), headers.get("dlq-partition"), headers.get("dlq-offset"))
        topic = f"{user.fleet.prefix}.commands.measurer"
        return place == tuple(str(each).encode() for each in (topic, *where))

    (letter,) = await user.read("dead-letters", is_ours)
    assert dict(letter.headers)["dlq-reason"] == b"invalid"
    assert json.loads(letter.value or b"")["input"]["amount"] == int(HUGE)
