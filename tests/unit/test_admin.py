"""The admin port: what probes are told, and what it costs where nobody asked for it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable

import httpx
import pytest
from prometheus_client import CollectorRegistry

from app.domain.model.errors import Unavailable
from app.entrypoints.admin.app import create_app
from app.entrypoints.admin.health import Health
from app.entrypoints.admin.worker_meter import WorkerMeter
from app.entrypoints.process import Stop

MODULES = ("app.entrypoints.worker", "app.entrypoints.projector")


class Probed:
    """A process with an admin port, as those who probe it see it."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.health = Health(self.stop)
        self.work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.goes_on = True
        self.registry = CollectorRegistry()
        transport = httpx.ASGITransport(create_app(self.health, self.registry, "1.2.3"))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://worker")

    def works(self, **checks: Awaitable[None] | None) -> None:
        """It has begun to work; a check that is given None answers."""

        async def ask(name: str) -> None:
            if (answer := checks[name]) is not None:
                await answer

        asked = {name: lambda name=name: ask(name) for name in checks}
        self.health.watch(self.work, lambda: self.goes_on, asked)

    async def says(self, path: str) -> tuple[int, str]:
        """The status, and what is wrong where something is."""
        answer = await self.http.get(path)
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json().get("detail", "")


@pytest.fixture
async def process() -> AsyncIterator[Probed]:
    probed = Probed()
    async with probed.http:
        yield probed


# --- probes


async def test_a_process_that_starts_lives_and_is_not_ready(process: Probed) -> None:
    assert await process.says("/livez") == (200, "")
    assert await process.says("/readyz") == (503, "process: it is starting")


async def test_a_process_that_works_is_ready_and_says_what_was_checked(process: Probed) -> None:
    process.works(queue=None, broker=None)
    assert (await process.http.get("/livez")).json() == {"status": "healthy", "version": "1.2.3"}
    ready = await process.http.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "checks": {"queue": "ok", "broker": "ok"}}


async def test_readiness_names_what_does_not_answer_and_life_asks_nobody(
    process: Probed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> None:
        raise Unavailable("no broker answers")

    monkeypatch.setattr("app.entrypoints.admin.health._TO_ANSWER", 0.05)
    process.works(queue=None, broker=away(), store=asyncio.sleep(5))
    answer = await process.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["checks"] == {
        "queue": "ok",
        "broker": "no broker answers",
        "store": "no answer within 0.05 seconds",
    }
    assert answer.json()["code"] == "not-ready"
    assert await process.says("/livez") == (200, "")


async def test_a_process_whose_loop_has_ended_is_dead(process: Probed) -> None:
    process.works(queue=None)
    process.work.set_result(None)
    assert await process.says("/livez") == (503, "process: its loop of work has ended")
    assert await process.says("/readyz") == (503, "process: its loop of work has ended")


async def test_a_loop_may_take_long_to_begin_and_then_must_go_on(process: Probed) -> None:
    process.goes_on = False
    process.works(queue=None)
    assert await process.says("/livez") == (200, "")
    process.goes_on = True
    assert await process.says("/livez") == (200, "")
    process.goes_on = False
    assert await process.says("/livez") == (503, "process: its loop of work stands still")


async def test_a_process_that_stops_is_not_ready_but_lives_to_its_end(process: Probed) -> None:
    process.works(queue=None)
    process.stop.set()
    assert await process.says("/readyz") == (503, "process: it is shutting down")
    process.work.set_result(None)
    assert await process.says("/livez") == (200, "")


async def test_metrics_come_as_text_and_as_openmetrics(process: Probed) -> None:
    WorkerMeter(process.registry, slots=4)
    text = await process.http.get("/metrics")
    assert "crewline_worker_slots 4.0\n" in text.text
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    openmetrics = await process.http.get("/metrics", headers=accept)
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


# --- what it costs


def test_nothing_of_it_is_loaded_where_no_port_is_set() -> None:
    ask = f"import json, sys, {', '.join(MODULES)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert loaded & {"uvicorn", "starlette", "prometheus_client"} == set()
