"""The fleet over HTTP: what was heard, how old it is, and what it means for agents."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from app.domain.model.ids import AgentName, RuntimeName
from app.domain.use_cases.fleet import Fleet
from app.entrypoints.gateway.services import GatewayServices
from app.ports.fleet import Heard
from tests.builders import ANALYST, RULES, at, heartbeat, task_id
from tests.gateway_under_test import Gateway
from tests.waiting import until_true


class Watch:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def fleet(watch: Watch) -> Fleet:
    return Fleet(watch, lambda: at(60))


@pytest.fixture
async def client(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    def with_fleet(services: GatewayServices) -> GatewayServices:
        return replace(services, fleet=fleet)

    async with Gateway(adapt=with_fleet).client() as client:
        yield client


async def test_nothing_heard_is_said(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/workers")
    assert answer.json() == {"items": [], "as_of": None, "age_seconds": None}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_worker_shows_what_it_has_in_hand(
    client: httpx.AsyncClient, fleet: Fleet, watch: Watch
) -> None:
    await fleet.hear(Heard(heartbeat("a", running=("t-1",), lag=3, after=20), live=True))
    watch.seconds += 2
    fleet.in_touch(watch())
    worker = (await client.get("/v1/workers")).json()["items"][0]
    assert (worker["id"], worker["state"], worker["lag"]) == ("a", "healthy", 3)
    assert worker["running"][0]["task_id"] == task_id("t-1")
    assert worker["running"][0]["age_seconds"] == 22
    assert (worker["age_seconds"], worker["last_seen"]) == (2, "2026-01-01T00:00:58.000Z")


async def test_silence_makes_a_worker_stale_and_a_broker_that_is_away_does_not(
    client: httpx.AsyncClient, fleet: Fleet, watch: Watch
) -> None:
    await fleet.hear(Heard(heartbeat("a"), live=True))
    watch.seconds += 30
    known = (await client.get("/v1/workers")).json()
    assert (known["items"][0]["state"], known["age_seconds"]) == ("healthy", 30)
    fleet.in_touch(watch())
    known = (await client.get("/v1/workers")).json()
    assert (known["items"][0]["state"], known["age_seconds"]) == ("stale", 0)


async def test_one_that_said_goodbye_long_ago_is_not_shown(
    client: httpx.AsyncClient, fleet: Fleet, watch: Watch
) -> None:
    await fleet.hear(Heard(heartbeat("a", state="stopped"), live=True))
    assert (await client.get("/v1/workers")).json()["items"][0]["state"] == "stopped"
    watch.seconds += 4_000
    fleet.in_touch(watch())
    assert (await client.get("/v1/workers")).json()["items"] == []


async def test_what_was_said_before_we_listened_is_as_old_as_its_sender_says(
    client: httpx.AsyncClient, fleet: Fleet
) -> None:
    await fleet.hear(Heard(heartbeat("a", after=0), live=False))
    worker = (await client.get("/v1/workers")).json()["items"][0]
    assert (worker["state"], worker["age_seconds"]) == ("stale", 60)


async def test_an_agent_says_how_many_workers_can_run_it(
    client: httpx.AsyncClient, fleet: Fleet
) -> None:
    path = "/v1/agents/business-analyst"
    assert (await client.get(path)).json()["live_workers"] == 0
    for name in ("a", "b"):
        await fleet.hear(Heard(heartbeat(name), live=True))
    await fleet.hear(Heard(heartbeat("c", state="stopped"), live=True))
    assert (await client.get(path)).json()["live_workers"] == 2
    assert (await client.get("/v1/agents")).json()["items"][0]["live_workers"] == 2


async def test_the_fleet_is_metered(client: httpx.AsyncClient, fleet: Fleet) -> None:
    await fleet.hear(Heard(heartbeat("a", running=("t-1",), lag=3), live=True))
    metrics = (await client.get("/metrics")).text
    topic = "crewline.commands.business-analyst"
    for line in (
        'crewline_fleet_workers{state="healthy"} 1.0',
        "crewline_fleet_slots 4.0",
        "crewline_fleet_running 1.0",
        f'crewline_fleet_lag_messages{{topic="{topic}"}} 3.0',
    ):
        assert line in metrics


async def test_only_json_is_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/workers", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")


BODY = {"agent": ANALYST, "input": "bikes"}
NOBODY = f"no live worker can run {ANALYST} by rules; the task waits for one"


async def test_a_task_that_no_live_worker_can_run_says_so_until_one_can(
    client: httpx.AsyncClient, fleet: Fleet, watch: Watch
) -> None:
    await fleet.hear(Heard(heartbeat("a", agents=(AgentName("developer"),)), live=True))
    answer = await client.post("/v1/tasks", json=BODY)
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["status_message"]) == ("submitted", NOBODY)
    path = answer.headers["location"]
    assert (await client.get(path)).json()["status_message"] == NOBODY

    async def is_listed() -> bool:
        items = (await client.get("/v1/tasks")).json()["items"]
        return [each["status_message"] for each in items] == [NOBODY]

    await until_true(is_listed, 20)
    for runtimes, said in (((RuntimeName("python"),), NOBODY), ((RULES,), None)):
        word = heartbeat("b", agents=(ANALYST,), runtimes=runtimes, instance=runtimes[0])
        await fleet.hear(Heard(word, live=True))
        assert (await client.get(path)).json()["status_message"] == said
    await fleet.hear(Heard(heartbeat("b", 9, instance=RULES, state="stopped"), live=True))
    assert (await client.get(path)).json()["status_message"] == NOBODY
    watch.seconds += 60
    assert (await client.get(path)).json()["status_message"] is None  # who knows who lives


async def test_where_nobody_knows_who_lives_nothing_is_said(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks", json=BODY)
    assert answer.json()["status_message"] is None


async def test_a_broker_that_answers_while_no_worker_speaks_has_no_worker(
    client: httpx.AsyncClient, fleet: Fleet, watch: Watch
) -> None:
    fleet.in_touch(watch())
    answer = await client.post("/v1/tasks", json=BODY)
    assert answer.json()["status_message"] == NOBODY
