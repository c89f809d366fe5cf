"""A release that adds an agent and changes another's schema: workers of both catalogs at once."""

import os
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.e2e.fleet import Fleet
from tests.waiting import until_true

pytestmark = [pytest.mark.kafka, pytest.mark.alone]

AGENT = """
name: {name}
description: Sleeps.
runtimes:
  python: {{callable: "tests.e2e.agents:sleep"}}
input_schema: {{type: string, minLength: 1, maxLength: {longest}}}
"""


def catalog(folder: Path, **longest: int) -> str:
    folder.mkdir()
    for name, characters in longest.items():
        text = AGENT.format(name=name, longest=characters)
        (folder / f"{name}.yaml").write_text(text)
    return os.fspath(folder)


@pytest.mark.timeout(400)
async def test_tasks_are_left_to_workers_that_know_their_agent(
    fleet: Fleet, tmp_path: Path
) -> None:
    old = catalog(tmp_path / "old", changed=5)
    new = catalog(tmp_path / "new", changed=50, added=50)
    fleet.environment["CREWLINE_CATALOG__FOLDERS"] = old
    assert fleet.run("topics", "apply").returncode == 0
    options = ("--runtimes", "python")
    for name in ("release-0", "release-1"):
        fleet.start("worker", "--id", name, *options, name=name)
    fleet.start("projector")
    fleet.environment["CREWLINE_CATALOG__FOLDERS"] = new
    assert fleet.run("topics", "apply").returncode == 0
    fleet.start("gateway")
    await fleet.ready()
    async with httpx.AsyncClient(base_url=fleet.url, timeout=30) as http:

        async def submit(agent: str, count: int) -> None:
            for _ in range(count):
                body = {"agent": agent, "input": "eleven char", "parameters": {"seconds": 0}}
                assert (await http.post("/v1/tasks", json=body)).status_code == 202

        async def ended(state: str) -> int:
            page = (await http.get(f"/v1/tasks?state={state}&limit=200")).json()
            return len(page["items"])

        async def all_have_completed() -> bool:
            fleet.refuse_dead()
            assert await ended("rejected") == 0
            return await ended("completed") == 42

        async def one_is_kept() -> bool:
            logs = fleet.log_of("release-0") + fleet.log_of("release-1")
            return all(f"a task of {name} is kept" in logs for name in ("added", "changed"))

        await submit("added", 6)
        await submit("changed", 6)
        await until_true(one_is_kept, within=90)
        await fleet.stop("release-1")
        fleet.start("worker", "--id", "release-1", *options, name="release-1")
        await submit("added", 15)
        await submit("changed", 15)
        await until_true(all_have_completed, within=120)

        nobody = f"{fleet.prefix}.commands.nobody"
        admin = AIOKafkaAdminClient(bootstrap_servers=fleet.kafka)
        await admin.start()
        await admin.create_topics([NewTopic(nobody, 1, 1)])
        await admin.close()
        producer = AIOKafkaProducer(bootstrap_servers=fleet.kafka)
        await producer.start()
        await producer.send_and_wait(nobody, b'{"input": "x"}')
        await producer.send_and_wait(f"{fleet.prefix}.commands.added", b'{"input": ""}')
        await producer.stop()

        async def letters() -> bool:
            page = (await http.get("/v1/dead-letters")).json()
            return {each["reason"] for each in page["items"]} == {"unknown-agent", "invalid"}

        await until_true(letters, within=90)
