"""`crewline dev`: what it prints works as it stands, and it leaves nothing but its data."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from app.adapters.local.servers.server import LOOPBACK, free_port
from app.entrypoints.bootstrap.local_servers import alone_in
from tests import servers
from tests.e2e.agents import LEDGER, read_ledger
from tests.e2e.fleet import CATALOG, ROOT, crewline
from tests.e2e.kcat import kcats_library
from tests.waiting import until, until_true

CREWLINE = str(Path(sys.executable).with_name("crewline"))
LAST_LINE = "Ctrl-C ends everything."


@dataclass
class Dev:
    """`crewline dev` in a folder of its own, as somebody starts it in a terminal."""

    folder: Path
    broker: str
    port: int = field(default_factory=free_port)
    kafka_port: int = field(default_factory=free_port)
    catalog: Path = CATALOG
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def command(self) -> list[str]:
        ports = ["--port", str(self.port), "--kafka-port", str(self.kafka_port)]
        return [CREWLINE, "dev", "--broker", self.broker, *ports, "--catalog", str(self.catalog)]

    @property
    def environment(self) -> dict[str, str]:
        foreign = ("CREWLINE_", "OTEL_", "KAFKA_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {"PYTHONPATH": str(ROOT), LEDGER: str(self.folder / "ledger")}

    @property
    def printed(self) -> str:
        return (self.folder / "printed").read_text()

    @property
    def logged(self) -> str:
        return (self.folder / "logged").read_text()

    def entries(self, task_id: str) -> list[str]:
        """What the ledger says of this task."""
        ledger = read_ledger(self.folder / "ledger")
        return [entry.what for entry in ledger if entry.task_id == task_id]

    def start(self) -> None:
        with (
            (self.folder / "printed").open("wb") as out,
            (self.folder / "logged").open("ab") as log,
        ):
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Return once it has said that it is ready."""
        process = self._running()
        await until(lambda: LAST_LINE in self.printed or process.poll() is not None, within=60)
        assert process.poll() is None, self.logged[-2_000:]

    async def interrupt(self, within: float) -> None:
        """Press Ctrl-C, and see it end well."""
        process = self._running()
        os.killpg(process.pid, signal.SIGINT)
        await until(lambda: process.poll() is not None, within)
        assert process.returncode == 0, self.logged[-4_000:]

    def kill(self) -> None:
        """End it as a crash would; of the broker it started it is the only owner."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None
        return self.process

    def left(self) -> list[str]:
        """Processes that have one of its ports in their command line."""
        listed = subprocess.run(
            ["ps", "-ewwo", "args="], capture_output=True, text=True, check=True
        )
        ports = re.compile(rf"\b({self.port}|{self.kafka_port})\b")
        return [line for line in listed.stdout.splitlines() if ports.search(line)]

    async def shell(self, command: str) -> str:
        """What a command that was printed says, typed into a terminal beside it."""
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    def offered(self, word: str) -> str:
        """The printed command with this word, all its lines."""
        commands: list[str] = re.findall(r"^  ((?:.*\\\n)*.*)$", self.printed, re.MULTILINE)
        return next(command for command in commands if word in command)


@pytest.fixture(params=["embedded", "memory"])
def dev(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Dev]:
    with made(tmp_path, request.param) as dev:
        yield dev


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Dev]:
    with made(tmp_path, "embedded") as dev:
        yield dev


@contextmanager
def made(folder: Path, broker: str) -> Iterator[Dev]:
    offer = servers.embedded_choice()
    if broker == "embedded" and isinstance(offer, str):
        servers.missing("The embedded broker", offer)
    dev = Dev(folder, broker)
    try:
        yield dev
    finally:
        dev.kill()


@pytest.fixture
async def http(dev: Dev) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{dev.port}", timeout=60) as http:
        yield http


async def submit(http: httpx.AsyncClient, seconds: float) -> str:
    body = {"agent": "sleeper", "input": "sleep", "parameters": {"seconds": seconds}}
    answer = await http.post("/v1/tasks", json=body)
    assert answer.status_code == 202
    return str(answer.json()["id"])


async def completed(http: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = {}

    async def ended() -> bool:
        task.clear()
        task.update((await http.get(f"/v1/tasks/{task_id}", headers={"Prefer": "wait=10"})).json())
        return task.get("state") == "completed"

    await until_true(ended, within=60)
    return task


async def seen(http: httpx.AsyncClient, task_id: str) -> None:
    """Return once the views have the task."""

    async def listed() -> bool:
        tasks = (await http.get("/v1/tasks")).json()["items"]
        return task_id in {task["id"] for task in tasks}

    await until_true(listed)


@pytest.mark.timeout(180)
async def test_what_it_prints_works_as_it_stands_and_ctrl_c_ends_everything(
    dev: Dev, http: httpx.AsyncClient
) -> None:
    dev.start()
    await dev.ready()
    assert (await dev.shell(dev.offered("submit"))).startswith("# ")
    answer = json.loads(await dev.shell(dev.offered("curl")))
    assert (answer["state"], answer["agent"]) == ("completed", "business-analyst")
    if dev.broker == "embedded":
        assert f"-b {LOOPBACK}:{dev.kafka_port}" in dev.offered("kcat")
        await produce(dev, b'{"input": "x", "labels": {"by": "kafka"}}')
        assert await labelled(http, "by:kafka")
        if shutil.which("kcat"):
            library = kcats_library(embedded=True)
            preload = "".join(f"export {name}={value}; " for name, value in library.items())
            assert await dev.shell(preload + dev.offered("kcat")) == ""
            await until_true(lambda: counts(http, 4))
        await seen(http, answer["id"])
        assert answer["id"] in await dev.shell(dev.offered("crewline list"))

    assert dev.left()
    await dev.interrupt(within=40)
    assert dev.left() == []
    assert "Traceback" not in dev.logged


async def test_broken_agents_are_named_all_at_once_and_the_others_are_served(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, rest in {
        "sound": "runtimes: {python: {callable: 'tests.e2e.agents:sleep'}}",
        "lost": "runtimes: {python: {callable: 'nowhere:run'}}",
        "misspelt": "timeout: 3\nruntimes: {python: {callable: 'tests.e2e.agents:sleep'}}",
        "crew": "role: r\ngoal: g\ninstructions: i\nruntimes: {crewai: {}}",
        "sound_python": "runtimes: {python: {callable: 'tests.e2e.agents:sleep'}}",
    }.items():
        (mine / f"{name}.yaml").write_text(f"name: {name}\ndescription: d\n{rest}\n")
    with made(tmp_path, "memory") as dev:
        dev.catalog = mine
        dev.start()
        await dev.ready()
        left_out = re.findall(r"^  left out  (.*)$", dev.printed, re.MULTILINE)
        assert len(left_out) == 3
        for part in ("misspelt.yaml: timeout:", "sound_python: name:", "lost: runtimes.python"):
            assert any(part in line for line in left_out), part
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{dev.port}", timeout=60) as http:
            body = {"agent": "sound", "input": "hello"}
            ended = await http.post("/v1/tasks", json=body, headers={"Prefer": "wait=30"})
            assert ended.json()["state"] == "completed"
            assert "no worker for crew: it runs by crewai" in dev.printed
            assert (await http.post("/v1/tasks", json=body | {"agent": "lost"})).status_code == 422
        await dev.interrupt(within=40)


async def produce(dev: Dev, value: bytes) -> None:
    topic = re.search(r"-t (\S+)", dev.offered("kcat"))
    assert topic is not None
    producer = AIOKafkaProducer(
        bootstrap_servers=f"{LOOPBACK}:{dev.kafka_port}", enable_idempotence=False
    )
    await producer.start()
    try:
        await producer.send_and_wait(topic[1], value)
    finally:
        await producer.stop()


async def counts(http: httpx.AsyncClient, tasks: int) -> bool:
    return len((await http.get("/v1/tasks")).json()["items"]) == tasks


async def labelled(http: httpx.AsyncClient, label: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = (await http.get("/v1/tasks", params={"label": label})).json()["items"]
        return bool(found)

    await until_true(there)
    return await completed(http, found[0]["id"])


@pytest.mark.timeout(180)
async def test_after_a_crash_finished_tasks_are_there_and_unfinished_ones_run(
    dev: Dev, http: httpx.AsyncClient
) -> None:
    dev.start()
    await dev.ready()
    quick = await submit(http, 0)
    before = await completed(http, quick)
    slow = await submit(http, 6)
    await until(lambda: dev.entries(slow) == ["began"])
    await seen(http, slow)  # the broker keeps all in memory: what no view has goes with it
    dev.kill()
    await until(lambda: dev.left() == [])  # the broker goes with its owner

    dev.start()
    await dev.ready()
    assert (await http.get(f"/v1/tasks/{quick}")).json() == before
    await completed(http, slow)
    assert dev.entries(slow) == ["began", "began", "ended"]
    assert dev.entries(quick) == ["began", "ended"]
    listed = (await http.get("/v1/tasks")).json()["items"]
    assert [task["id"] for task in listed] == [slow, quick]
    await dev.interrupt(within=40)


@pytest.mark.timeout(180)
async def test_after_a_restart_a_plain_record_is_a_task_of_its_own(embedded: Dev) -> None:
    address = f"http://{LOOPBACK}:{embedded.port}"
    found = []
    for question in ("before", "after"):
        embedded.start()
        await embedded.ready()
        body = {"input": question, "labels": {"asked": question}}
        await produce(embedded, json.dumps(body).encode())
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            found.append(await labelled(http, f"asked:{question}"))
        await embedded.interrupt(within=40)
    assert [task["input"] for task in found] == ["before", "after"]
    assert found[0]["id"] != found[1]["id"]


@pytest.mark.timeout(180)
async def test_what_ends_while_it_drains_does_not_run_again_and_no_accepted_task_is_lost(
    dev: Dev, http: httpx.AsyncClient
) -> None:
    dev.start()
    await dev.ready()
    slow = await submit(http, 6)
    await until(lambda: dev.entries(slow) == ["began"], within=30)
    await seen(http, slow)
    late = await submit(http, 0)
    await dev.interrupt(within=40)
    assert dev.entries(slow) == ["began", "ended"]

    dev.start()
    await dev.ready()
    await completed(http, slow)
    await completed(http, late)
    assert dev.entries(slow) == ["began", "ended"]
    await dev.interrupt(within=40)


async def test_ctrl_c_before_the_worker_has_joined_its_group_ends_it_too(embedded: Dev) -> None:
    embedded.start()
    await embedded.ready()
    await embedded.interrupt(within=40)
    assert embedded.left() == []


@pytest.mark.parametrize("port", ["port", "kafka_port"])
def test_a_taken_port_is_said_in_one_line(embedded: Dev, port: str) -> None:
    with socket.socket() as somebody:
        somebody.bind((LOOPBACK, 0))
        somebody.listen()
        taken = somebody.getsockname()[1]
        setattr(embedded, port, taken)
        said = subprocess.run(
            embedded.command,
            cwd=embedded.folder,
            env=embedded.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert said.returncode == 3
    (line,) = said.stderr.splitlines()
    assert str(taken) in line
    assert said.stdout == ""
    assert embedded.left() == []


def test_a_folder_is_for_one_dev_at_a_time(tmp_path: Path) -> None:
    with alone_in(tmp_path / ".crewline"):
        second = subprocess.run(
            [*crewline(), "dev", "--broker", "memory", "--port", str(free_port())],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
    assert second.returncode == 3
    assert second.stderr.splitlines() == [
        "crewline: another crewline dev uses the folder .crewline; choose one with --data"
    ]
