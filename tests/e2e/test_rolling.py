"""Every process is restarted, one after another, under load: nobody notices."""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
import pytest

from app.adapters.local.servers.server import free_port
from tests.e2e.fleet import Fleet
from tests.waiting import until, until_true

pytestmark = [pytest.mark.kafka, pytest.mark.alone]

_AGAIN = {429, 503}
_SUBMITTERS = 2


@dataclass
class Load:
    """Clients that submit all the time, over whichever gateway answers, as clients should."""

    gateways: list[str]
    accepted: list[str] = field(default_factory=list)
    retries: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=30) as http:
            clients = [asyncio.create_task(self._submit(http)) for _ in range(_SUBMITTERS)]
            try:
                yield
                for client in clients:
                    assert not client.done() or client.result() is None
            finally:
                for client in clients:
                    client.cancel()
                ended = await asyncio.gather(*clients, return_exceptions=True)
        failed = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
        assert failed == []

    async def _submit(self, http: httpx.AsyncClient) -> None:
        while True:
            task_id = str(uuid4())
            body = {"agent": "sleeper", "id": task_id, "input": "x", "parameters": {"seconds": 0.3}}
            async with asyncio.timeout(60):
                for gateway in itertools.cycle(self.gateways):
                    try:
                        answer = await http.post(f"{gateway}/v1/tasks", json=body)
                    except httpx.TransportError as error:
                        self.retries[type(error).__name__] += 1
                    else:
                        if answer.status_code not in _AGAIN:
                            assert answer.status_code == 202, answer.text
                            self.accepted.append(task_id)
                            break
                        self.retries[str(answer.status_code)] += 1
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.1)


@dataclass
class Process:
    """One of the fleet, and where it says whether it is ready."""

    fleet: Fleet
    kind: str
    name: str
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        variable = "PORT" if self.kind == "gateway" else "ADMIN_PORT"
        self.fleet.environment[f"CREWLINE_{self.kind.upper()}__{variable}"] = str(self.port)
        self.fleet.start(self.kind, *self.options, name=self.name)

    async def ready(self) -> None:
        async def answers() -> bool:
            self.fleet.refuse_dead()
            try:
                return (await http.get(f"{self.url}/readyz")).is_success
            except httpx.TransportError:
                return False

        async with httpx.AsyncClient() as http:
            await until_true(answers, within=120)


async def completed(http: httpx.AsyncClient, url: str) -> set[str]:
    """Every completed task, page by page."""
    path, ids = "/v1/tasks?state=completed&limit=200", set[str]()
    while True:
        page = (await http.get(url + path)).raise_for_status()
        ids |= {task["id"] for task in page.json()["items"]}
        if "next" not in page.links:
            return ids
        path = page.links["next"]["url"]


@pytest.mark.timeout(900)
async def test_a_rolling_restart_of_everything_loses_nothing_and_runs_nothing_twice(
    fleet: Fleet,
) -> None:
    gateways = [Process(fleet, "gateway", f"gateway-{i}") for i in range(2)]
    workers = [
        Process(fleet, "worker", f"worker-{i}", ("--id", f"w-{i}", "--runtimes", "python"))
        for i in range(3)
    ]
    projectors = [Process(fleet, "projector", f"projector-{i}") for i in range(2)]
    everything = [*gateways, *workers, *projectors]
    for process in everything:
        process.start()
    for process in everything:
        await process.ready()
    load = Load([gateway.url for gateway in gateways])
    async with load.running():
        await until(lambda: len(load.accepted) > 20)
        for process in everything:
            before = len(load.accepted)
            assert await fleet.stop(process.name) == 0, fleet.log_of(process.name)[-4000:]
            process.start()
            await process.ready()
            await until(lambda before=before: len(load.accepted) > before + 10)  # type: ignore[misc]
    async with httpx.AsyncClient(timeout=30) as http:

        async def all_ended() -> bool:
            return set(load.accepted) <= await completed(http, gateways[0].url)

        await until_true(all_ended, within=120)
    began = Counter(entry.task_id for entry in fleet.ledger if entry.what == "began")
    ended = Counter(entry.task_id for entry in fleet.ledger if entry.what == "ended")
    assert set(began) >= set(load.accepted)
    assert {task_id: runs for task_id, runs in (began + ended).items() if runs != 2} == {}
    assert {entry.attempt for entry in fleet.ledger} == {1}
