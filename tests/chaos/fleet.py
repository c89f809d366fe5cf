"""Crewline's processes under fire: each can be killed, paused, asked to stop and started again."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.adapters.local.servers.server import free_port
from tests.chaos.disks import FULL_DISK
from tests.chaos.failpoints import FAILPOINT
from tests.chaos.history import Gauge, History, Life
from tests.chaos.ledger import LEDGER
from tests.waiting import until_true

ROOT = Path(__file__).parents[2]
CATALOG = Path(__file__).parent / "catalog"
SESSION_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many processes of each kind."""

    gateways: int = 2
    workers: int = 3
    projectors: int = 2


@dataclass
class Fleet:
    """Processes by name, such as `worker-2`; each writes its log into the folder."""

    folder: Path
    kafka: str
    prefix: str
    store: str
    history: History
    size: Size = field(default_factory=Size)
    environment: Mapping[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    ports: dict[str, int] = field(default_factory=dict)
    restarts: int = 0
    _watching: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)
    _because: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {name: free_port() for name in self.gateways}

    def _names(self, kind: str, count: int) -> list[str]:
        return [f"{kind}-{number}" for number in range(1, count + 1)]

    @property
    def gateways(self) -> list[str]:
        return self._names("gateway", self.size.gateways)

    @property
    def workers(self) -> list[str]:
        return self._names("worker", self.size.workers)

    @property
    def projectors(self) -> list[str]:
        return self._names("projector", self.size.projectors)

    @property
    def names(self) -> list[str]:
        return [*self.projectors, *self.workers, *self.gateways]

    @property
    def full_disk(self) -> Path:
        return self.folder / "disk-is-full"

    @property
    def worker_group(self) -> str:
        return f"{self.prefix}.workers"

    def url(self, gateway: str) -> str:
        return f"http://127.0.0.1:{self.ports[gateway]}"

    def environ(self, name: str) -> dict[str, str]:
        ours = {
            "CREWLINE_KAFKA__BOOTSTRAP_SERVERS": self.kafka,
            "CREWLINE_KAFKA__PREFIX": self.prefix,
            "CREWLINE_KAFKA__SESSION_TIMEOUT_SECONDS": str(SESSION_SECONDS),
            "CREWLINE_KAFKA__REQUEST_TIMEOUT_SECONDS": "5",
            "CREWLINE_STORE__URL": self.store,
            "CREWLINE_GATEWAY__PORT": str(self.ports.get(name, 0)),
            "CREWLINE_GATEWAY__DRAIN_SECONDS": "3",
            "CREWLINE_WORKER__ID": f"{self.prefix}-{name}",
            "CREWLINE_WORKER__GROUP": self.worker_group,
            "CREWLINE_WORKER__RUNTIME_FOLDER": str(self.folder),
            "CREWLINE_WORKER__RUNTIMES": "python,rules",
            "CREWLINE_WORKER__SLOTS": "8",
            "CREWLINE_WORKER__DRAIN_SECONDS": "5",
            "CREWLINE_PROJECTOR__GROUP": f"{self.prefix}.projector",
            "CREWLINE_CATALOG__FOLDERS": str(CATALOG),
            "CREWLINE_LOGGING__FORMAT": "json",
            LEDGER: str(self.folder),
            FULL_DISK: str(self.full_disk),
            "PYTHONPATH": str(ROOT),
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CREWLINE_", "OTEL_"))}
        return kept | ours | dict(self.environment)

    # --- what may happen to a process

    def start(self, name: str, failpoint: str | None = None) -> None:
        kind = name.partition("-")[0]
        environment = self.environ(name) | ({FAILPOINT: failpoint} if failpoint else {})
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.launch", kind],
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.folder,
            )
        self.running[name] = process
        self.restarts += 1
        self._note(name, process, "started")
        self._watching[name] = asyncio.create_task(self._reap(name, process))

    async def kill(self, name: str) -> None:
        """End a process as a crash would."""
        process = self.running[name]
        self._because[process.pid] = "killed"
        if process.poll() is None:
            process.kill()
        await self._watching[name]

    async def stop(self, name: str, within: float = 30) -> None:
        """Ask a process to stop, and make it where it does not."""
        process = self.running[name]
        if process.poll() is None:
            self._because[process.pid] = "asked"
            process.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(self._watching[name]), within)
        except TimeoutError:
            process.kill()
            await self._watching[name]

    def pause(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGSTOP)
        self.paused.add(name)
        self._note(name, self.running[name], "paused")

    def resume(self, name: str) -> None:
        self.running[name].send_signal(signal.SIGCONT)
        self.paused.discard(name)
        self._note(name, self.running[name], "resumed")

    def up(self, name: str) -> bool:
        """Whether it runs and is not paused."""
        return name in self.running and name not in self.paused

    async def gone(self, name: str, within: float) -> bool:
        """Whether a process ended by itself in that time, as one with a failpoint should."""
        process = self.running.get(name)
        if process is None:
            return True
        self._because[process.pid] = "killed"
        try:
            await asyncio.wait_for(asyncio.shield(self._watching[name]), within)
        except TimeoutError:
            return False
        return True

    def start_all(self, but: Collection[str] = ()) -> None:
        """Start what does not run, and resume what is paused."""
        for name in list(self.paused):
            self.resume(name)
        for name in self.names:
            if name not in self.running and name not in but:
                self.start(name)

    async def ready(self, within: float = 60) -> None:
        """Return once every gateway says that it is ready."""
        async with httpx.AsyncClient(timeout=5) as http:

            async def all_answer() -> bool:
                try:
                    answers = [await http.get(f"{self.url(each)}/readyz") for each in self.gateways]
                except httpx.TransportError:
                    return False
                return all(answer.is_success for answer in answers)

            await until_true(all_answer, within)

    async def stop_all(self) -> None:
        """Ask all of them at once."""
        await asyncio.gather(*(self.stop(name) for name in list(self.running)))

    async def close(self) -> None:
        for process in self.running.values():
            process.kill()  # first of all: what follows may be cut short
        for name in list(self.running):
            if name in self.running:  # it may have ended while another was waited for
                await self.kill(name)

    def leftovers(self) -> list[int]:
        """Processes of the fleet's sessions that outlived it."""
        left = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if f"CREWLINE_KAFKA__PREFIX={self.prefix}\0".encode() in environment:
                left.append(int(folder.name))
        return left

    def gauge(self) -> None:
        """Note what each process holds."""
        for name, process in self.running.items():
            folder = Path("/proc") / str(process.pid)
            try:
                files = sum(1 for _ in (folder / "fd").iterdir())
                threads = sum(1 for _ in (folder / "task").iterdir())
            except OSError:
                continue
            self.history.add(Gauge(name=name, pid=process.pid, files=files, threads=threads))

    async def run(self, *arguments: str, within: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `crewline …` to its end, as an operator would."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "app.entrypoints.cli", *arguments],
            check=False,
            env=self.environ("operator"),
            capture_output=True,
            text=True,
            timeout=within,
            cwd=self.folder,
        )

    async def _reap(self, name: str, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:  # noqa: ASYNC110  # a child is told of by no event
            await asyncio.sleep(0.02)
        if self.running.get(name) is process:
            del self.running[name]
        self.paused.discard(name)
        self._note(name, process, "ended")

    def _note(self, name: str, process: subprocess.Popen[bytes], change: str) -> None:
        ended = change == "ended"
        self.history.add(
            Life.model_validate(
                {
                    "name": name,
                    "pid": process.pid,
                    "change": change,
                    "code": process.returncode if ended else None,
                    "because": self._because.get(process.pid, "by itself") if ended else "",
                }
            )
        )
