"""Whoever reads a worker's log finds all lines of one task by its id."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.outside import EVERYTHING, Json, Outside, new_fleet, outside, standing
from tests.waiting import until

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = new_fleet(tmp_path_factory.mktemp("logs"), kafka)
    with standing(fleet, *EVERYTHING):
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


async def lines_of(fleet: Fleet, task_id: str, last: str) -> list[Json]:
    """The lines of the worker's log that belong to a task, once the last one is there."""
    found: list[Json] = []

    def are_there() -> bool:
        written = fleet.log_of("worker").splitlines()
        lines = [json.loads(line) for line in written if line.startswith("{")]
        found[:] = [each for each in lines if each.get("task_id") == task_id]
        return any(each["event"] == last for each in found)

    await until(are_there, 30)
    return found


@pytest.mark.parametrize("agent", ["diarist", "isolated-diarist"])
async def test_every_line_of_a_run_names_its_task_its_agent_and_its_attempt(
    fleet: Fleet, user: Outside, agent: str
) -> None:
    task_id = await user.submit(agent, {})
    task = await user.ended(task_id)
    assert task["state"] == "failed"
    assert task["error"]["message"].startswith("ConnectionError: nobody answers (tests/e2e/")
    assert "agents.py:" in task["error"]["message"]
    assert task["error"]["message"].endswith(" in write_a_diary)")

    lines = await lines_of(fleet, task_id, "task failed")
    said = [each["event"] for each in lines]
    own = {"awaited", "a task of its own", "a thread", "by structlog"}
    assert own <= set(said)
    assert (said[0], said[-1]) == ("task started", "task failed")
    assert {(each["agent"], each["attempt"]) for each in lines} == {(agent, 1)}
    (raised,) = [each for each in lines if "raised" in each["event"]]
    assert "ConnectionError: nobody answers" in raised["exception"]
    started, failed = lines[0], lines[-1]
    assert started["runtime"] == "python"
    assert (failed["code"], failed["error"]) == ("agent-error", task["error"]["message"])
    assert 0 <= failed["seconds"] < 60


async def test_two_tasks_at_once_keep_their_lines_apart(fleet: Fleet, user: Outside) -> None:
    tasks = [await user.submit("diarist-in-a-thread", {"input": "go"}) for _ in range(8)]
    for task_id in tasks:
        assert (await user.ended(task_id))["state"] == "completed"
        lines = await lines_of(fleet, task_id, "task completed")
        assert [each["event"] for each in lines] == [
            "task started",
            "in a thread",
            "task completed",
        ]
