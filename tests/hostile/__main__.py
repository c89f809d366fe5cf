"""`make hostile`: a mixed load of small requests and tasks that would stop the others, measured.

All attacks go on side by side for MINUTES. Meanwhile a process of its own asks for `/livez`, and
the memory of each of Crewline's processes is looked at. It ends with 1 where an answer took longer
than `--slowest` seconds, memory grew in the second half, or an attack was not answered as it should
be.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.adapters.local.servers.kraft import KraftBroker
from tests.e2e.fleet import CATALOG, ROOT, Fleet
from tests.e2e.outside import EVERYTHING, Outside, new_fleet, outside, standing
from tests.hostile.attacks import ATTACKS, Attack

_PAUSE = 2.0
"""Seconds between two rounds of an attack."""
_LOOK_EVERY = 2.0
_MAY_GROW = 1.15, 40
"""How much more memory the second half may take: this factor, and so many MB."""


@dataclass
class Seen:
    """What came of the load."""

    slowest: list[float] = field(default_factory=list)
    """Of each second, the slowest answer of `/livez`, in seconds."""
    unanswered: int = 0
    rounds: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    memory: dict[str, list[float]] = field(default_factory=dict)
    """Of each process, its resident memory in MB, as time goes on."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--slowest", type=float, default=0.5, metavar="SECONDS")
    parser.add_argument("--only", metavar="A,B", help=f"attacks: {', '.join(ATTACKS)}")
    options = parser.parse_args()
    for name in ("aiokafka", "asyncio", "httpx"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="crewline-hostile-"))
    names = options.only.split(",") if options.only else list(ATTACKS)
    print(f"{len(names)} attacks for {options.minutes:g} min; all is kept in {folder}", flush=True)
    with KraftBroker(folder=folder / "kafka") as broker:
        fleet = new_fleet(folder, broker.address)
        fleet.environment["CREWLINE_CATALOG__FOLDERS"] = (
            f"{CATALOG},{ROOT / 'tests/hostile/catalog'}"
        )
        with standing(fleet, *EVERYTHING):
            seen = asyncio.run(_load(fleet, names, options.minutes * 60))
    return _judge(seen, options.slowest)


async def _load(fleet: Fleet, names: Iterable[str], seconds: float) -> Seen:
    seen = Seen()
    async with outside(fleet) as user:
        until = time.monotonic() + seconds
        loops = [_attacking(name, ATTACKS[name], user, seen, until) for name in names]
        watching = asyncio.create_task(_watch_memory(fleet, seen))
        probing = asyncio.create_task(_probe(fleet.port, seen))
        try:
            await asyncio.gather(*loops)
        finally:
            for each in (watching, probing):
                each.cancel()
            await asyncio.gather(watching, probing, return_exceptions=True)
        fleet.refuse_dead()
    return seen


async def _attacking(name: str, attack: Attack, user: Outside, seen: Seen, until: float) -> None:
    while time.monotonic() < until:
        try:
            async with asyncio.timeout(120):
                await attack(user)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
            seen.wrong[f"{name}: {type(error).__name__}: {str(error)[:200]}"] += 1
        seen.rounds[name] += 1
        await asyncio.sleep(_PAUSE)


async def _probe(port: int, seen: Seen) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hostile.probe", str(port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            second = json.loads(line)
            seen.slowest.append(second["slowest"])
            seen.unanswered += second["failures"]
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _watch_memory(fleet: Fleet, seen: Seen) -> None:
    while True:
        for name, process in fleet.running.items():
            seen.memory.setdefault(name, []).append(_resident(process.pid))
        await asyncio.sleep(_LOOK_EVERY)


def _resident(pid: int) -> float:
    """The memory that a process has in RAM, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1_024


def _judge(seen: Seen, slowest: float) -> int:
    findings = [f"{count} x {what}" for what, count in seen.wrong.most_common(20)]
    times = sorted(seen.slowest)
    print(f"\nrounds: {', '.join(f'{name} {count}' for name, count in seen.rounds.items())}")
    print(
        f"/livez: slowest {times[-1]:.3f} s, in half of the seconds below "
        f"{times[len(times) // 2]:.3f} s, {seen.unanswered} unanswered"
    )
    if times[-1] > slowest or seen.unanswered:
        findings.append(f"/livez took {times[-1]:.3f} s, {seen.unanswered} unanswered")
    factor, room = _MAY_GROW
    for name, sizes in seen.memory.items():
        half = len(sizes) // 2
        before, after = max(sizes[:half], default=0), max(sizes[half:])
        print(f"{name}: {sizes[0]:.0f} MB at first, {before:.0f} at most, then {after:.0f}")
        if after > max(before * factor, before + room):
            findings.append(f"{name} grew from {before:.0f} to {after:.0f} MB")
    for finding in findings:
        print(f"FINDING {finding}")
    print(f"{len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
