"""`crewline rebuild`: the views made anew from the log, or compared with what it tells."""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import typer

from app.domain.model.errors import Rejected
from app.domain.use_cases.project_status import PatientOffsets
from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.broker import Broker
from app.entrypoints.bootstrap.kafka_broker import broker_of
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.settings import Settings, StoreSettings
from app.ports.event_log import Offsets, StoredOffsets

_LOOK_EVERY = 0.2
_REFUSED = 4


def run(settings: Settings, *, check: bool, yes: bool, as_json: bool) -> int:
    """Rebuild, or with `check` build aside and compare; 4 when the two differ.

    Where the log has lost what the views were made from, somebody must agree, or have said `yes`.
    """
    broker = broker_of(settings)
    if check:
        different = asyncio.run(_compare(settings, broker))
        _say(as_json, different=different, equal=different == 0)
        return _REFUSED if different else 0
    if not yes and (losses := asyncio.run(_losses(settings, broker))):
        _agree(losses)
    messages = asyncio.run(_rebuild(settings, broker))
    _say(as_json, messages=messages)
    return 0


async def _losses(settings: Settings, broker: Broker) -> str | None:
    """What a rebuild would forget, in a sentence; None where the log still has everything."""
    async with open_store(settings, up_to_date=True) as store:
        stored = await store.views.offsets()
    if not any(stored.values()):
        return None
    feed = broker.feed(None)
    starts, ends = await feed.starts(), await feed.ends()
    if any(read > ends.get(shard, 0) for shard, read in stored.items()):
        return "the views have read further than the log goes: it is a new log, or another one"
    gone = sum(min(start, stored.get(shard, 0)) for shard, start in starts.items())
    if gone:
        return f"the log has deleted {gone:,} of the messages that the views were made from"
    return None


def _agree(losses: str) -> None:
    """Return if a person agrees; raise `Rejected` if not, or where nobody can be asked."""
    if not sys.stdin.isatty():
        raise Rejected(f"{losses}; what only they told would be lost: --yes rebuilds all the same")
    typer.echo(f"Attention: {losses}. What only they told would be lost.", err=True)
    if not typer.confirm("Rebuild all the same?", err=True):
        raise Rejected("nothing was changed")


async def _rebuild(settings: Settings, broker: Broker) -> int:
    async with open_store(settings, up_to_date=True) as store:
        ends = await broker.feed(None).ends()  # nothing is cleared before the log has answered
        if not any(ends.values()) and any((await store.views.offsets()).values()):
            raise Rejected(
                "the log is empty, but the views were made from one that is not; "
                "is CREWLINE_KAFKA__PREFIX right? Nothing was changed"
            )
        await store.views.clear()
        return await _replay(settings, broker, store, ends)


async def _compare(settings: Settings, broker: Broker) -> int:
    """How many rows of the views are not what the log says they should be."""
    with tempfile.TemporaryDirectory() as folder:
        aside = StoreSettings.model_validate({"url": f"sqlite:///{Path(folder) / 'views.db'}"})
        beside = settings.model_copy(update={"store": aside})
        async with (
            open_store(settings, up_to_date=True) as live,
            open_store(beside, up_to_date=True) as anew,
        ):
            await _replay(settings, broker, anew, await broker.feed(None).ends())
            return len(set(await live.dump()) ^ set(await anew.dump()))


async def _replay(settings: Settings, broker: Broker, store: Store, ends: Offsets) -> int:
    """Fold the log as far as these ends; how many messages that were."""
    with (
        observing(settings, "rebuild") as observed,
        processes.projector(settings, broker, store, observed, alone=True) as parts,
    ):
        projecting = asyncio.create_task(parts.project.run())
        watching = asyncio.create_task(_watch(PatientOffsets(store.views), ends))
        try:
            done, _ = await asyncio.wait(
                {projecting, watching}, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                each.result()
        finally:
            for each in (projecting, watching):
                each.cancel()
            await asyncio.gather(projecting, watching, return_exceptions=True)
    return sum(ends.values())


async def _watch(views: StoredOffsets, ends: Offsets) -> None:
    """Return once the views have reached these ends; say meanwhile how far they are."""
    total = sum(ends.values())
    began = asyncio.get_running_loop().time()
    while True:
        stored = await views.offsets()
        read = sum(min(stored.get(shard, 0), end) for shard, end in ends.items())
        if asyncio.get_running_loop().time() - began > 1 and sys.stderr.isatty():
            sys.stderr.write(f"\r{read:,} of {total:,} messages")
        if read >= total:
            return
        await asyncio.sleep(_LOOK_EVERY)


def _say(as_json: bool, **told: object) -> None:
    if as_json:
        typer.echo(json.dumps(told))
    elif "messages" in told:
        typer.echo(f"The views are made anew from {told['messages']:,} messages.")
    elif told["equal"]:
        typer.echo("The views are what the log says.")
    else:
        typer.echo(f"{told['different']} rows differ; `crewline rebuild` makes them anew.")
