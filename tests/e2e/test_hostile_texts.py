"""What outsiders send to keep a process busy, or to read what is not theirs, stops nobody else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from app.domain.model.ids import derived_task_id
from tests.e2e.fleet import CATALOG, Fleet
from tests.e2e.outside import EVERYTHING, Outside, new_fleet, outside, standing
from tests.waiting import until_true

pytestmark = pytest.mark.kafka

AGENTS = {
    "strict": "input_schema: {pattern: '^(a|aa)+$'}\nruntimes: {rules: {template: '{{ text }}'}}",
    "careless": "runtimes: {python: {callable: 'careless:raises'}}",
}
CARELESS = """
import logging
def raises(task, context):
    logging.getLogger("careless").warning("it says %s", "a." * 25_000)
    raise ConnectionError("postgresql://me:hunter2@db and the key kept-in-the-environment")
"""
BACKTRACKING = "a" * 5_000 + "b"


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = new_fleet(tmp_path_factory.mktemp("hostile"), kafka)
    folder = fleet.folder / "agents"
    folder.mkdir()
    for name, more in AGENTS.items():
        (folder / f"{name}.yaml").write_text(f"name: {name}\ndescription: x\n{more}\n")
    (fleet.folder / "careless.py").write_text(CARELESS)
    fleet.environment["CREWLINE_CATALOG__FOLDERS"] = f"{CATALOG},{folder}"
    fleet.environment["SOMEBODYS_API_KEY"] = "kept-in-the-environment"
    with standing(fleet, *EVERYTHING):
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


async def test_an_input_that_takes_years_to_check_is_refused_and_others_are_served(
    user: Outside,
) -> None:
    body = {"agent": "strict", "input": BACKTRACKING}
    answering = asyncio.create_task(user.http.post("/v1/tasks", json=body))
    waits = []
    while not answering.done():
        began = time.monotonic()
        assert (await user.http.get("/livez")).status_code == 200
        waits.append(time.monotonic() - began)
    answer = await answering
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "takes over 2 s to check" in answer.text
    assert len(waits) >= 5
    assert sorted(waits)[len(waits) // 2] < 0.5


async def test_the_same_over_kafka_is_set_aside_once(user: Outside) -> None:
    value = json.dumps({"id": derived_task_id("strict"), "input": BACKTRACKING}).encode()
    await user.produce("commands.strict", value)
    good = await user.submit("strict", {"input": "aaaa"})
    assert (await user.ended(good))["state"] == "completed"
    task = await user.ended(derived_task_id("strict"))
    assert (task["state"], task["reason"]) == ("rejected", "dead-lettered")
    assert task["error"]["code"] == "invalid"
    assert "takes over 2 s to check" in task["error"]["message"]


@pytest.mark.parametrize("seed", ["$1 ", "no "])
async def test_a_text_that_was_slow_to_read_is_read(user: Outside, seed: str) -> None:
    task_id = await user.submit("business-analyst", {"input": seed * 3_000})
    assert (await user.ended(task_id, within=110))["attempt"] == 1


async def test_secrets_of_an_exception_reach_nobody(user: Outside) -> None:
    task_id = await user.submit("careless", {})
    task = await user.ended(task_id)
    assert task["state"] == "failed"
    assert "postgresql://me:***@db and the key ***" in task["error"]["message"]

    async def is_logged() -> bool:
        return "it says" in user.fleet.log_of("worker")

    await until_true(is_logged, 20)
    (ending,) = await user.read("results", lambda record: b"agent-error" in (record.value or b""))
    for text in (ending.value or b"", user.fleet.log_of("worker").encode()):
        assert b"hunter2" not in text
        assert b"kept-in-the-environment" not in text
