"""Somebody's own agents: a folder is named, topics are made, and their tasks run."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.fleet import CATALOG, ROOT, Fleet
from tests.e2e.outside import EVERYTHING, Json, Outside, new_fleet, outside, standing, start

pytestmark = pytest.mark.kafka

OWN, BROKEN = CATALOG / "own", CATALOG / "broken"
NAMES = {"greeter", "letter-writer", "word-counter"}


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """An installation that stood before these agents came."""
    fleet = new_fleet(tmp_path_factory.mktemp("own"), kafka)
    with standing(fleet):
        fleet.environment |= {
            "CREWLINE_CATALOG__FOLDERS": str(OWN),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(OWN)]),
        }
        asked = fleet.run("doctor")
        assert (asked.returncode, "run `crewline topics apply`" in asked.stdout) == (4, True)
        planned = fleet.run("topics", "plan")
        assert planned.returncode == 0
        for name in NAMES:
            assert f"create {fleet.prefix}.commands.{name}: " in planned.stdout
        assert fleet.run("topics", "apply").returncode == 0
        assert fleet.run("topics", "plan").stdout == "The topics are as they should be.\n"
        start(fleet, *EVERYTHING)
        yield fleet


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


@pytest.mark.parametrize(
    ("agent", "body", "output"),
    [
        ("greeter", {"input": "Ada"}, "Hello Ada!"),
        ("greeter", {"input": "Ada", "parameters": {"title": "Countess"}}, "Hello Ada, Countess!"),
        ("letter-writer", {"input": {"to": "Bo", "lines": ["a", "b"]}}, "# To Bo\n\n- a\n- b\n"),
        ("word-counter", {"input": "one two three"}, {"words": 3}),
    ],
)
async def test_it_runs(user: Outside, agent: str, body: Json, output: object) -> None:
    task = await user.ended(await user.submit(agent, body))
    assert (task["state"], task["error"]) == ("completed", None)
    assert task["result"]["output"] == output


async def test_its_own_schema_is_kept(user: Outside) -> None:
    body = {"agent": "letter-writer", "input": {"to": "", "lines": ["a"]}}
    refused = await user.http.post("/v1/tasks", json=body)
    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/input/to"]


def test_it_is_listed_beside_the_shipped_ones(fleet: Fleet) -> None:
    names = {line.split("\t")[0] for line in fleet.run("agents").stdout.splitlines()}
    assert names >= NAMES | {"business-analyst", "developer"}


def test_the_doctor_finds_nothing_wrong(fleet: Fleet) -> None:
    said = fleet.run("doctor")
    assert (said.returncode, "FAIL" in said.stdout) == (0, False)
    assert "greeter" in said.stdout


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("sk-te\nst", "OPENAI_API_KEY has a space or a line break in it"),
        ('"sk-test"', "OPENAI_API_KEY has quotes around it"),
        ("sk-...", "OPENAI_API_KEY is still the example"),
    ],
)
def test_the_doctor_says_what_is_wrong_with_a_key(fleet: Fleet, key: str, why: str) -> None:
    fleet.environment["OPENAI_API_KEY"] = key
    try:
        said = fleet.run("doctor")
    finally:
        del fleet.environment["OPENAI_API_KEY"]
    assert said.returncode == 4
    assert f"FAIL  keys: {why}" in said.stdout
    assert key not in said.stdout


def test_the_doctor_blames_a_broken_file_and_not_the_broker(fleet: Fleet) -> None:
    fleet.environment["CREWLINE_CATALOG__FOLDERS"] = str(BROKEN)
    try:
        said = fleet.run("doctor")
    finally:
        fleet.environment["CREWLINE_CATALOG__FOLDERS"] = str(OWN)
    assert (said.returncode, "ok    broker" in said.stdout) == (4, True)
    assert f"FAIL  agents: {BROKEN}" in said.stdout


def test_the_doctor_finds_a_callable_that_stops_a_worker(fleet: Fleet, tmp_path: Path) -> None:
    agent = "name: lost\ndescription: x\nruntimes: {python: {callable: 'nowhere:run'}}\n"
    (tmp_path / "lost.yaml").write_text(agent)
    fleet.environment["CREWLINE_CATALOG__FOLDERS"] = str(tmp_path)
    try:
        said, started = fleet.run("doctor"), fleet.run("worker")
    finally:
        fleet.environment["CREWLINE_CATALOG__FOLDERS"] = str(OWN)
    assert said.returncode == started.returncode == 4
    assert "FAIL  worker: lost: runtimes.python.callable: cannot import" in said.stdout
    assert started.stderr.startswith("crewline: lost: runtimes.python.callable: cannot import")


@pytest.mark.parametrize("command", ["gateway --port 0", "worker", "topics plan"])
def test_a_broken_file_stops_the_start_with_one_line(fleet: Fleet, command: str) -> None:
    fleet.environment["CREWLINE_CATALOG__FOLDERS"] = str(BROKEN)
    try:
        said = fleet.run(*command.split())
    finally:
        fleet.environment["CREWLINE_CATALOG__FOLDERS"] = str(OWN)
    assert said.returncode == 4
    (line,) = said.stderr.splitlines()
    assert "parrot.yaml" in line
    assert "runtimes" in line
