"""`make bench`: every system in one run on the same work, one after another."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.adapters.local.servers.server import ServerUnavailable
from benchmarks import report
from benchmarks.figures import Figures
from benchmarks.host import Host, pace
from benchmarks.process import ROOT
from benchmarks.roster import ROSTER, Entry
from benchmarks.servers import has, serving

SERVERS = ("kafka", "redis", "temporal")

CRASH = (
    "40 tasks of 1 to 5 s, 16 slots, the worker killed so many seconds after submitting: tasks not "
    "done in time / done ones that ran again / from the kill until the first interrupted one ran."
)


class Bench:
    """One run: what was asked for, and what has come of it."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self._host = Host()
        self._tools: Path = asked.tools.absolute()
        self._peers = self._tools / "peers" / "bin" / "python"
        self.results: dict[str, dict[str, Figures]] = {}
        self.settings: dict[str, str] = {}
        self.without: list[str] = []
        """Who is not in the tables, or not in all, and why."""

    def measure(self, names: Sequence[str]) -> None:
        for server in SERVERS:
            entries = [ROSTER[name] for name in names if ROSTER[name].server == server]
            entries = [entry for entry in entries if self._installed(entry)]
            if not entries:
                continue
            try:
                with serving(server, self._peers, self._tools) as addresses:
                    for entry in entries:
                        self._run(entry, addresses)
            except ServerUnavailable as error:
                self.without += [f"{entry.title}: {error}" for entry in entries]

    def _installed(self, entry: Entry) -> bool:
        if entry.library is None or has(self._peers, entry.library):
            return True
        self.without.append(f"{entry.title}: {entry.library} is not installed in {self._peers}")
        return False

    def _run(self, entry: Entry, addresses: dict[str, str]) -> None:
        asked = self._asked
        python = str(self._peers) if entry.library else sys.executable
        what = [asked.measure, asked.kills, str(asked.seconds), str(asked.patience)]
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            process = subprocess.Popen(
                [python, "-m", "benchmarks.run", entry.place, folder, *what],
                env=os.environ | addresses | {"PYTHONPATH": str(ROOT)},
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
            )
            for line in process.stdout or ():
                self._hear(entry.title, json.loads(line))
            if process.wait():
                self.without.append(f"{entry.title}: its client ended with {process.returncode}")

    def _hear(self, title: str, line: dict[str, Any]) -> None:
        measurement, figures = line["measurement"], line["figures"]
        if "settings" in line:
            self.settings[title] = line["settings"]
            return
        if "failed" in line:
            self.without.append(f"{title}, {measurement}: {line['failed']}")
        else:
            self.results.setdefault(title, {})[measurement] = figures
        told = line.get("failed") or report.plain(figures)
        host = f"load {line['load']:.1f}, {self._host.stolen():.1%} stolen"
        print(f"{title}, {measurement}: {told}  [{host}]", file=sys.stderr)

    def tell(self) -> None:
        first = next(iter(self.results), "")
        if any(report.NOTHING_WRONG & measured.keys() for measured in self.results.values()):
            print(f"\nWith the ratio to the figure of {first}.\n\n{report.speed(self.results)}")
        if any("crash" in each for measured in self.results.values() for each in measured):
            print(f"\n{CRASH}\n\n{report.crashes(self.results, self._asked.patience)}")
        for title in [title for title, each in self.results.items() if each.get("more")]:
            print(f"\n{report.more(self.results, title)}")
        for title, settings in self.settings.items():
            print(f"\n{title}: {settings}.", end="")
        for reason in self.without:
            print(f"\nNot measured: {reason}", end="")
        print()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    usual = ",".join(name for name, entry in ROSTER.items() if entry.by_default)
    parser.add_argument("--only", default=usual, help=f"of {', '.join(ROSTER)}")
    parser.add_argument(
        "--measure",
        default="LTHKM",
        help="L and T: latency, throughput, memory, start; H: 64 at once; K: crash; M: the rest",
    )
    parser.add_argument("--kills", default="1.5,3,5", help="seconds after which a worker is killed")
    parser.add_argument("--seconds", type=float, default=8, help="of each load")
    parser.add_argument("--patience", type=float, default=30, help="seconds until never")
    parser.add_argument("--tools", type=Path, default=ROOT / ".tools", help="where the peers are")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    if unknown := set(chosen.only) - ROSTER.keys():
        parser.error(f"nobody is called {', '.join(sorted(unknown))}")
    return chosen


def main() -> None:
    asked = arguments()
    bench = Bench(asked)
    began, load, before = time.monotonic(), os.getloadavg()[0], pace()
    try:
        bench.measure([name for name in ROSTER if name in asked.only])
    except KeyboardInterrupt:
        bench.without.append("the rest, which was stopped")
    bench.tell()
    minutes = (time.monotonic() - began) / 60
    print(
        f"\n{os.cpu_count()} cores, Python {platform.python_version()}, {minutes:.0f} minutes; "
        f"the load average was {load:.1f} before; five million additions took {before:.2f} s "
        f"before and {pace():.2f} s afterwards."
    )


if __name__ == "__main__":
    main()
