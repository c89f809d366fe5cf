"""A worker as a process group: started, weighed, killed."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.ledger import LEDGER, Ledger
from benchmarks.system import System

ROOT = Path(__file__).parents[1]


class Worker:
    """One worker, with everything it started."""

    def __init__(self, system: System, slots: int, ledger: Ledger) -> None:
        self.log = system.folder / "worker.log"
        environ = system.environ() | {LEDGER: str(ledger.path), "PYTHONPATH": str(ROOT)}
        self.started_at = time.time()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                system.worker(slots),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=system.folder,
            )

    @property
    def group(self) -> int:
        return self._process.pid

    def refuse_dead(self) -> None:
        """Raise with the end of its log where the worker has ended by itself."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the worker ended: {self.log.read_text()[-2000:]}")

    def memory(self) -> float:
        """Resident megabytes of the whole group."""
        return sum(resident(self.group))

    def kill(self) -> None:
        """End all of it as a crash would."""
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)
        self._process.wait(10)


@contextmanager
def ended_afterwards() -> Iterator[list[Worker]]:
    """A list for workers; none of them outlives the measurement, however that ends."""
    workers: list[Worker] = []
    try:
        yield workers
    finally:
        for worker in workers:
            worker.kill()


def resident(group: int) -> list[float]:
    """Resident megabytes of each process of a group."""
    asked = ["ps", "-A", "-o", "pgid=,rss="]
    table = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    rows = (line.split() for line in table.splitlines())
    return [int(kilobytes) / 1024 for pgid, kilobytes in rows if int(pgid) == group]
