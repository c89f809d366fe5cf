"""A task for an agent that no worker runs says so, wherever somebody looks."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.outside import EVERYTHING, Outside, new_fleet, outside, standing, start
from tests.waiting import until_true

pytestmark = pytest.mark.kafka

CREW = """\
name: planner
description: Plans.
role: Planner
goal: A plan.
instructions: Plan it.
runtimes: {crewai: {}}
"""
NOBODY = "no live worker can run planner by crewai; the task waits for one"


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = new_fleet(tmp_path_factory.mktemp("unattended"), kafka)
    folder = fleet.folder / "agents"
    folder.mkdir()
    (folder / "planner.yaml").write_text(CREW)
    fleet.environment["CREWLINE_CATALOG__FOLDERS"] = str(folder)
    with standing(fleet):
        start(fleet, *EVERYTHING)
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


async def test_it_is_said_over_http_and_on_the_command_line(fleet: Fleet, user: Outside) -> None:
    async def are_heard() -> bool:
        return bool((await user.http.get("/v1/workers")).json()["items"])

    await until_true(are_heard, 60)
    answer = await user.http.post("/v1/tasks", json={"agent": "planner", "input": "a house"})
    assert (answer.status_code, answer.json()["status_message"]) == (202, NOBODY)

    submitted = fleet.run("submit", "planner", "a house")
    assert submitted.returncode == 0
    assert submitted.stderr == f"crewline: {NOBODY}\n"
    shown = fleet.run("status", submitted.stdout.strip())
    assert NOBODY in shown.stdout
    waited = fleet.run("submit", "planner", "a house", "--wait", "2")
    assert waited.returncode == 5
    assert waited.stderr.count(NOBODY) == 1

    sound = fleet.run("submit", "business-analyst", "a marketplace for bikes", "--wait")
    assert (sound.returncode, sound.stderr) == (0, "")
