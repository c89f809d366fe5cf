"""`crewline rebuild`: the views made anew from the log, or compared with what it tells."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import typer

from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.brokers import Broker, broker_of
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.process import Stop, until_stopped
from app.entrypoints.settings import Settings, StoreSettings
from app.ports.event_log import Offsets

_LOOK_EVERY = 0.2
_REFUSED = 4


def run(settings: Settings, *, check: bool, as_json: bool) -> int:
    """Rebuild, or with `check` build aside and compare; 4 when the two differ."""
    broker = broker_of(settings)
    if check:
        different = asyncio.run(_compare(settings, broker))
        _say(as_json, different=different, equal=different == 0)
        return _REFUSED if different else 0
    messages = asyncio.run(_rebuild(settings, broker))
    _say(as_json, messages=messages)
    return 0


async def _rebuild(settings: Settings, broker: Broker) -> int:
    async with open_store(settings, up_to_date=True) as store:
        await store.views.clear()
        return await _replay(settings, broker, store)


async def _compare(settings: Settings, broker: Broker) -> int:
    """How many rows of the views are not what the log says they should be."""
    with tempfile.TemporaryDirectory() as folder:
        aside = StoreSettings.model_validate({"url": f"sqlite:///{Path(folder) / 'views.db'}"})
        beside = settings.model_copy(update={"store": aside})
        async with (
            open_store(settings, up_to_date=True) as live,
            open_store(beside, up_to_date=True) as anew,
        ):
            await _replay(settings, broker, anew)
            return len(set(await live.dump()) ^ set(await anew.dump()))


async def _replay(settings: Settings, broker: Broker, store: Store) -> int:
    """Fold the log as far as it goes now; how many messages that were."""
    with observing(settings, "rebuild") as observed:
        parts = processes.projector(settings, broker, store, observed, alone=True)
        ends = await parts.feed.ends()
        done = Stop()
        watching = asyncio.create_task(_watch(store, ends, done))
        await until_stopped(parts.project.run(), done)
        await watching
    return sum(ends.values())


async def _watch(store: Store, ends: Offsets, done: Stop) -> None:
    total = sum(ends.values())
    began = asyncio.get_running_loop().time()
    while True:
        stored = await store.views.offsets()
        read = sum(min(stored.get(shard, 0), end) for shard, end in ends.items())
        if asyncio.get_running_loop().time() - began > 1 and sys.stderr.isatty():
            sys.stderr.write(f"\r{read:,} of {total:,} messages")
        if read >= total:
            break
        await asyncio.sleep(_LOOK_EVERY)
    done.set()


def _say(as_json: bool, **told: object) -> None:
    if as_json:
        typer.echo(json.dumps(told))
    elif "messages" in told:
        typer.echo(f"The views are made anew from {told['messages']:,} messages.")
    elif told["equal"]:
        typer.echo("The views are what the log says.")
    else:
        typer.echo(f"{told['different']} rows differ; `crewline rebuild` makes them anew.")
