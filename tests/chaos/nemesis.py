"""Breaks things, in an order drawn from the seed: every kind in turn, sometimes two at once."""

import asyncio
import time
from collections.abc import Collection

from tests.chaos.faults import FAULTS, possible
from tests.chaos.field import Field, NothingToBreak

_TWO_AT_ONCE = 0.3
_SUPERVISED_EVERY = 0.5
_FINISHING = 60.0


async def torment(field: Field, seconds: float, only: Collection[str] = ()) -> None:
    """Break and mend for so long; at the end all that is still broken is mended."""
    supervised = asyncio.create_task(_supervise(field))
    try:
        await _break(field, time.monotonic() + seconds, only)
    finally:
        supervised.cancel()
        await asyncio.gather(supervised, return_exceptions=True)
    await mend(field)
    await field.redrivers.finish(_FINISHING)


async def mend(field: Field) -> None:
    """Everything runs and is reached again, but for those who never come back."""
    await field.cluster.heal()
    await asyncio.to_thread(field.disk.free)
    if field.store is not None:
        await field.store.heal()
    field.fleet.start_all(but=field.given_up)


async def _break(field: Field, until: float, only: Collection[str]) -> None:
    bag: list[str] = []
    while time.monotonic() < until:
        count = 2 if field.chance.random() < _TWO_AT_ONCE else 1
        chosen = []
        for _ in range(count):
            bag = bag or _shuffled(field, only)
            chosen.append(bag.pop())
        await asyncio.gather(*(_one(field, name) for name in chosen))
        await asyncio.sleep(field.chance.uniform(0.3, 2))


def _shuffled(field: Field, only: Collection[str]) -> list[str]:
    names = [name for name in possible(field) if not only or name in only]
    return field.chance.sample(names, len(names))


async def _one(field: Field, name: str) -> None:
    try:
        await FAULTS[name](field)
    except NothingToBreak:
        return


async def _supervise(field: Field) -> None:
    """Start again what ended by itself, as whoever runs containers does."""
    while True:
        await asyncio.sleep(_SUPERVISED_EVERY)
        for name in field.fleet.names:
            if name not in field.fleet.running and name not in field.taken | field.given_up:
                field.fleet.start(name)
