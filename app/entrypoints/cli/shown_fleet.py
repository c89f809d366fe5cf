"""What a person sees of the workers."""

import sys
from typing import Any

from app.entrypoints.cli.connection import Json
from app.entrypoints.cli.shown import show_table
from app.entrypoints.terminal import printable

_TITLES = ["worker", "state", "running", "slots", "waiting", "oldest task", "seen", "version"]
_OLD = 10.0
"""Seconds after which it is said how old all of this is."""


def show_workers(fleet: Json) -> None:
    """One line for each worker; a last one, on a terminal only, where it is old news."""
    workers = [each for each in fleet.get("items", []) if isinstance(each, dict)]
    show_table(_TITLES, [_row(worker) for worker in workers])
    age = fleet.get("age_seconds")
    if age is None:
        sys.stderr.write("nothing has been heard of any worker yet\n")
    elif age > _OLD:
        sys.stderr.write(f"as of {_ago(age)}: the gateway does not hear its workers\n")


def _row(worker: Json) -> list[str]:
    running = [task for task in worker.get("running", []) if isinstance(task, dict)]
    oldest = max((float(task.get("age_seconds") or 0) for task in running), default=None)
    phase = worker.get("phase")
    state = phase if worker.get("state") == "healthy" and phase == "draining" else worker["state"]
    return [
        printable(str(worker.get("id"))),
        printable(str(state)),
        str(len(running)),
        str(worker.get("slots")),
        str(worker.get("lag")),
        "-" if oldest is None else _lasting(oldest),
        _ago(worker.get("age_seconds")),
        printable(str(worker.get("version"))),
    ]


def _ago(seconds: Any) -> str:
    return f"{_lasting(float(seconds or 0))} ago"


def _lasting(seconds: float) -> str:
    """The two biggest units."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"
