"""What tasks did and when: a file that outlives their workers."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

LEDGER = "BENCH_LEDGER"


class Line(NamedTuple):
    at: float
    what: str
    key: str
    group: int
    """The process group, which tells one worker from another."""


def note(what: str, key: str) -> None:
    """One line, whole even when the process is killed right after."""
    ledger = os.open(os.environ[LEDGER], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(ledger, f"{time.time()} {what} {key} {os.getpgrp()}\n".encode())
    os.close(ledger)


class Ledger:
    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[Line]:
        if not self.path.exists():
            return []
        parts = (line.split() for line in self.path.read_text().splitlines())
        return [Line(float(at), what, key, int(group)) for at, what, key, group in parts]

    def began(self, key: str) -> float | None:
        """When the task began for the first time."""
        times = (line.at for line in self.lines() if (line.what, line.key) == ("began", key))
        return min(times, default=None)

    def ended(self, keys: Iterable[str]) -> dict[str, float]:
        """When each of the tasks that have ended did so for the first time."""
        wanted = set(keys)
        found: dict[str, float] = {}
        for line in self.lines():
            if line.what == "ended" and line.key in wanted:
                found.setdefault(line.key, line.at)
        return found
