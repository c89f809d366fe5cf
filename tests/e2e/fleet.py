"""Crewline's processes as an operator runs them: real ones, on a real broker."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.chaos.failpoints import FAILPOINT
from tests.e2e.agents import LEDGER, Entry, read_ledger
from tests.waiting import until, until_true

ROOT = Path(__file__).parents[2]
CATALOG = Path(__file__).parent / "catalog"


@dataclass
class Fleet:
    """Started processes by name; each writes its log to the folder."""

    folder: Path
    kafka: str
    prefix: str
    port: int
    store: str
    environment: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ledger(self) -> list[Entry]:
        return read_ledger(self.folder / "ledger")

    def environ(self) -> dict[str, str]:
        ours = {
            "CREWLINE_KAFKA__BOOTSTRAP_SERVERS": self.kafka,
            "CREWLINE_KAFKA__PREFIX": self.prefix,
            "CREWLINE_STORE__URL": self.store,
            "CREWLINE_GATEWAY__PORT": str(self.port),
            "CREWLINE_WORKER__GROUP": f"{self.prefix}.workers",
            "CREWLINE_WORKER__RUNTIME_FOLDER": str(self.folder),
            "CREWLINE_PROJECTOR__GROUP": f"{self.prefix}.projector",
            "CREWLINE_PROJECTOR__RUNTIME_FOLDER": str(self.folder),
            "CREWLINE_CATALOG__FOLDERS": str(CATALOG),
            "CREWLINE_URL": self.url,
            LEDGER: str(self.folder / "ledger"),
            "PYTHONPATH": str(ROOT),
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CREWLINE_", "OTEL_"))}
        return kept | ours | self.environment

    def start(
        self, process: str, *options: str, name: str | None = None, failpoint: str | None = None
    ) -> None:
        """Start `crewline <process>`; under a second name, a second one of its kind.

        At a `failpoint` of `tests/chaos` it kills itself.
        """
        name = name or process
        environment = self.environ() | ({FAILPOINT: failpoint} if failpoint else {})
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [*(failing() if failpoint else crewline()), process, *options],
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=self.folder,
            )

    def run(self, *arguments: str, within: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `crewline …` to its end, as a person would."""
        return subprocess.run(
            [*crewline(), *arguments],
            check=False,
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=within,
            cwd=self.folder,
        )

    def kill(self, name: str) -> None:
        """End a process as a crash would."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    async def stop(self, name: str, within: float = 40) -> int:
        """Ask a process to stop; its exit code."""
        process = self.running.pop(name)
        process.terminate()
        await until(lambda: process.poll() is not None, within)
        return int(process.returncode)

    async def ready(self, within: float = 90) -> None:
        """Return once the gateway says that it is ready."""

        async def answers() -> bool:
            self.refuse_dead()
            try:
                async with httpx.AsyncClient() as http:
                    return (await http.get(f"{self.url}/readyz")).is_success
            except httpx.TransportError:
                return False

        await until_true(answers, within)

    def refuse_dead(self) -> None:
        """Raise with its log where a process has ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise AssertionError(f"{name} ended:\n{self.log_of(name)[-4000:]}")

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def close(self) -> None:
        for name in list(self.running):
            self.kill(name)


def crewline() -> list[str]:
    return [sys.executable, "-m", "app.entrypoints.cli"]


def failing() -> list[str]:
    return [sys.executable, "-m", "tests.chaos.launch"]
