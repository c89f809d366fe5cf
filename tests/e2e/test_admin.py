"""Workers and projectors as those see them who run them: probes, metrics, a graceful stop."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.local.servers.server import free_port
from tests.e2e.fleet import Fleet
from tests.waiting import until, until_true

SLEEPER = {"agent": "sleeper"}


class Admin:
    """The admin port of one process of a fleet."""

    def __init__(self, fleet: Fleet, process: str) -> None:
        port = free_port()
        fleet.environment[f"CREWLINE_{process.upper()}__ADMIN_PORT"] = str(port)
        self._fleet = fleet
        self._url = f"http://127.0.0.1:{port}"

    async def status(self, path: str) -> int:
        """What it answers; 0 while nobody does."""
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(self._url + path)).status_code
        except httpx.TransportError:
            return 0

    async def answers(self, path: str, status: int, within: float = 40) -> None:
        async def does() -> bool:
            self._fleet.refuse_dead()
            return await self.status(path) == status

        await until_true(does, within)

    async def value(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """A sample of the metrics; None where there is none."""
        async with httpx.AsyncClient(timeout=30) as http:
            text = (await http.get(f"{self._url}/metrics")).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == (labels or {}):
                    return sample.value
        return None

    async def counts(self, name: str, value: float, labels: dict[str, str] | None = None) -> None:
        """Return once the sample has this value."""

        async def does() -> bool:
            return await self.value(name, labels) == value

        await until_true(does, 20)


async def submit(fleet: Fleet, seconds: float) -> None:
    body = {**SLEEPER, "input": "sleep", "parameters": {"seconds": seconds}}
    async with httpx.AsyncClient(timeout=30) as http:
        assert (await http.post(f"{fleet.url}/v1/tasks", json=body)).status_code == 202


@pytest.mark.timeout(120)
async def test_tasks_show_in_the_metrics_of_whoever_worked_on_them(fleet: Fleet) -> None:
    worker, projector = Admin(fleet, "worker"), Admin(fleet, "projector")
    for process in ("gateway", "projector", "worker"):
        fleet.start(process)
    await asyncio.gather(
        fleet.ready(),
        *(
            admin.answers(path, 200)
            for admin in (worker, projector)
            for path in ("/livez", "/readyz")
        ),
    )
    for _ in range(3):
        await submit(fleet, 0.2)

    completed = {**SLEEPER, "state": "completed"}
    await worker.counts("crewline_tasks_finished_total", 3, completed)
    assert await worker.value("crewline_task_run_seconds_count", SLEEPER) == 3
    ran = await worker.value("crewline_task_run_seconds_sum", SLEEPER)
    assert ran is not None
    assert ran >= 0.6
    assert await worker.value("crewline_task_queue_wait_seconds_count", SLEEPER) == 3
    assert await worker.value("crewline_worker_slots") == 16
    await worker.counts("crewline_worker_running", 0)
    # of each task its command, its start and its end
    await projector.counts("crewline_projected_messages_total", 9)
    await projector.counts("crewline_projection_behind_messages", 0)
    await projector.counts("crewline_projection_behind_seconds", 0)


@pytest.mark.timeout(120)
async def test_readiness_goes_first_while_what_runs_is_finished(fleet: Fleet) -> None:
    worker = Admin(fleet, "worker")
    for process in ("gateway", "worker"):
        fleet.start(process)
    await asyncio.gather(fleet.ready(), worker.answers("/readyz", 200))
    await submit(fleet, 10)
    await until(lambda: len(fleet.ledger) == 1)
    stopping = asyncio.create_task(fleet.stop("worker"))
    await worker.answers("/readyz", 503)
    assert await worker.status("/livez") == 200
    assert await worker.value("crewline_worker_running") == 1
    assert [entry.what for entry in fleet.ledger] == ["began"]
    assert await stopping == 0
    assert [entry.what for entry in fleet.ledger] == ["began", "ended"]
    assert await worker.status("/livez") == 0


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose broker is away."""
    views = f"sqlite+aiosqlite:///{tmp_path / 'views.db'}"
    fleet = Fleet(tmp_path, f"127.0.0.1:{free_port()}", "lonely", free_port(), views)
    yield fleet
    fleet.close()


async def test_a_projector_waits_for_its_broker_alive_and_not_ready(lonely: Fleet) -> None:
    projector = Admin(lonely, "projector")
    lonely.start("projector")
    await projector.answers("/livez", 200)
    assert await projector.status("/readyz") == 503
    behind = await projector.value("crewline_projection_behind_seconds")
    assert behind is not None
    assert behind > 0
    assert await lonely.stop("projector") == 0


@pytest.mark.parametrize("process", ["worker", "projector"])
def test_a_port_that_is_taken_is_told_in_a_line(lonely: Fleet, process: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        variable = f"CREWLINE_{process.upper()}__ADMIN_PORT"
        lonely.environment[variable] = str(port)
        ended = lonely.run(process)
    assert ended.returncode == 3
    assert ended.stderr.splitlines()[-1] == (
        f"crewline: port {port} is taken by another program; choose one with {variable}"
    )
    assert "Traceback" not in ended.stderr
