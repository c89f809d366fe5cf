"""`make bench`: everything in one run, each figure beside a yardstick's."""

import argparse
import asyncio
import logging
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from app.adapters.local.servers.kraft import KraftBroker
from app.adapters.local.servers.server import free_port
from benchmarks.crewline import Crewline
from benchmarks.echo import KINDS, Echo
from tests.e2e.fleet import Fleet

SETTINGS = {
    "CREWLINE_CATALOG__FOLDERS": str(Path(__file__).parent / "catalog"),
    "CREWLINE_WORKER__SLOTS": "64",
    "CREWLINE_WORKER__BUFFER": "1000",
    "CREWLINE_LOGGING__LEVEL": "ERROR",
}


@contextmanager
def kafka() -> Iterator[str]:
    """Real Apache Kafka: the one in the environment, else one on the JVM."""
    with ExitStack() as stack:
        yield (
            os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or stack.enter_context(KraftBroker()).address
        )


async def measure(servers: str, folder: Path, seconds: float, tasks: int) -> None:
    rows: list[tuple[str, str, str]] = []
    yardstick: dict[str, tuple[float, float]] = {}
    for kind in KINDS:
        async with Echo(servers, kind).running() as echo:
            latency = await echo.latency(seconds)
            rate = await echo.throughput(tasks if kind == "raw" else tasks // 4)
        yardstick[kind] = (latency.p50, rate)
        rows.append((f"{kind}: two hops at 100/s", str(latency), ""))
        rows.append((f"{kind}: messages answered", f"{rate:,.0f}/s", ""))
    store = f"sqlite:///{folder / 'views.db'}"
    fleet = Fleet(folder, servers, "bench", free_port(), store, SETTINGS)
    raw_p50, raw_rate = yardstick["raw"]
    peer_p50, peer_rate = yardstick["faststream"]
    async with Crewline(fleet).running() as crewline:
        accept = await crewline.http_accept(seconds)
        rows.append(("HTTP accepted at 100/s", str(accept), ""))
        result = await crewline.http_to_result(seconds)
        beside = f"{result.p50 / raw_p50:.1f} x raw, {result.p50 / peer_p50:.1f} x FastStream"
        rows.append(("HTTP to result (Prefer: wait) at 100/s", str(result), beside))
        produced = await crewline.produce_to_result(seconds)
        beside = f"{produced.p50 / raw_p50:.1f} x raw, {produced.p50 / peer_p50:.1f} x FastStream"
        rows.append(("produce to result event at 100/s", str(produced), beside))
        rate = await crewline.to_the_view(tasks)
        beside = f"{rate / raw_rate:.2f} x raw, {rate / peer_rate:.1f} x FastStream"
        rows.append(("no-op tasks, topic to view", f"{rate:,.0f}/s", beside))
    _print(rows)


def _print(rows: list[tuple[str, str, str]]) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("aiokafka", "faststream"))
    print(f"\n{os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    for what, figure, beside in rows:
        print(f"{what:42} {figure:34} {beside}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--seconds", type=float, default=10, help="of each latency load")
    parser.add_argument("--tasks", type=int, default=20_000, help="of each throughput load")
    chosen = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of topics being made
    with kafka() as servers, tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(servers, Path(folder), chosen.seconds, chosen.tasks))


if __name__ == "__main__":
    main()
