"""Measure one system in a process and an environment of its own; each line printed is a result."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from benchmarks.crash import crash
from benchmarks.figures import Extent, Figures
from benchmarks.measure import side_by_side, start_and_speed
from benchmarks.system import System

WITHIN = 180.0
"""Seconds for one measurement, whatever happens."""

Measurement = Callable[[System, Extent], Awaitable[Figures]]


async def measure(system: System, wanted: str, kills: list[float], extent: Extent) -> None:
    async with system:
        versioned = f"{system.package} {version(system.package)}; {system.settings}"
        say("settings", {}, settings=versioned)
        for name, take in measurements(system, wanted, kills):
            try:
                say(name, await asyncio.wait_for(take(system, extent), WITHIN))
            except Exception as error:  # noqa: BLE001  the other measurements go on
                say(name, {}, failed=repr(error)[-500:])


def measurements(system: System, wanted: str, kills: list[float]) -> list[tuple[str, Measurement]]:
    chosen: list[tuple[str, Measurement]] = []
    if "L" in wanted or "T" in wanted:
        chosen.append(("speed", start_and_speed))
    if "H" in wanted and system.runs_sleeps:
        chosen.append(("side by side", side_by_side))
    if "K" in wanted and system.runs_sleeps:
        chosen += [(f"crash at {at:g}", partial(crash, at=at)) for at in kills]
        if system.second_worker:
            never = partial(crash, at=kills[len(kills) // 2], returns=False)
            chosen.append(("crash for good", never))
    if "M" in wanted and type(system).more is not System.more:
        chosen.append(("more", lambda system, extent: system.more(extent)))
    return chosen


def say(measurement: str, figures: Figures, **words: str) -> None:
    line = {"measurement": measurement, "figures": figures, "load": os.getloadavg()[0], **words}
    print(json.dumps(line), flush=True)


def main() -> None:
    """Arguments: `module:Class`, a folder, what to measure, kill moments, seconds, patience."""
    place, folder, wanted, kills, seconds, patience = sys.argv[1:]
    logging.disable(logging.CRITICAL)  # clients tell of topics being made and connections closed
    module, _, name = place.partition(":")
    system = getattr(import_module(module), name)(Path(folder))
    extent = Extent(float(seconds), float(patience))
    moments = [float(moment) for moment in kills.split(",")]
    with suppress(KeyboardInterrupt):  # whoever started us was stopped too, and says so
        asyncio.run(measure(system, wanted, moments, extent))


if __name__ == "__main__":
    main()
