"""Faults of our own processes: crashes, pauses, restarts, and deaths at named places."""

import asyncio

from tests.chaos.failpoints import GATEWAY_FAILPOINTS, PROJECTOR_FAILPOINTS, WORKER_FAILPOINTS
from tests.chaos.field import Field, NothingToBreak
from tests.chaos.fleet import SESSION_SECONDS

_ZOMBIE = SESSION_SECONDS + 3
"""Seconds of a pause after which the group has given a member up."""
_FAILPOINT_PATIENCE = 20.0


async def _crash(field: Field, *names: str) -> None:
    async with field.taking(*names) as name:
        down = field.chance.choice((0.0, 0.5, 2.0))
        async with field.fault("kill -9, restart", name, f"down {down:.1f} s"):
            await field.fleet.kill(name)
            await asyncio.sleep(down)
            field.fleet.start(name)


async def crash_worker(field: Field) -> None:
    await _crash(field, *field.fleet.workers)


async def crash_projector(field: Field) -> None:
    await _crash(field, *field.fleet.projectors)


async def crash_gateway(field: Field) -> None:
    await _crash(field, *field.fleet.gateways)


async def _pause(field: Field, seconds: float, *names: str) -> None:
    async with field.taking(*names) as name, field.fault("paused", name, f"{seconds:.1f} s"):
        field.fleet.pause(name)
        try:
            await asyncio.sleep(seconds)
        finally:
            field.fleet.resume(name)


async def zombie_worker(field: Field) -> None:
    """A worker whose tasks have gone to others comes back and goes on with them."""
    await _pause(field, _ZOMBIE, *field.fleet.workers)


async def zombie_projector(field: Field) -> None:
    await _pause(field, _ZOMBIE, *field.fleet.projectors)


async def pause_briefly(field: Field) -> None:
    await _pause(field, field.chance.uniform(0.5, 4), *field.fleet.names)


async def lose_worker(field: Field) -> None:
    """A worker dies and never comes back; one is enough, the others have to do its work."""
    if field.given_up:
        raise NothingToBreak
    workers = field.fleet.workers
    async with field.taking(*workers) as name, field.fault("kill -9, never back", name):
        field.given_up.add(name)
        await field.fleet.kill(name)


async def rebalance_storm(field: Field) -> None:
    workers, detail = field.fleet.workers, "4 times, every 2 s"
    async with field.taking(*workers) as name, field.fault("rebalance storm", name, detail):
        for _ in range(4):
            await field.fleet.stop(name)
            await asyncio.sleep(0.2)
            field.fleet.start(name)
            await asyncio.sleep(2)


async def rolling_restart(field: Field) -> None:
    """A deployment: one process after the other is asked to stop and started again."""
    async with field.fault("rolling restart", "everything", "SIGTERM"):
        for each in field.fleet.names:
            try:
                async with field.taking(each) as name:
                    await field.fleet.stop(name)
                    field.fleet.start(name)
            except NothingToBreak:
                continue


async def die_at_failpoint(field: Field) -> None:
    """A process dies by itself at a named place, once it comes there."""
    places = {
        "worker": list(WORKER_FAILPOINTS),
        "projector": list(PROJECTOR_FAILPOINTS),
        "gateway": list(GATEWAY_FAILPOINTS),
    }
    kind = field.chance.choices(list(places), [3, 2, 1])[0]
    names = [name for name in field.fleet.names if name.startswith(kind)]
    async with field.taking(*names) as name:
        place = field.chance.choice(places[kind])
        point = f"{place}:{field.chance.randint(1, 4)}"
        async with field.fault("dies at a failpoint", name, point):
            await field.fleet.kill(name)
            field.fleet.start(name, failpoint=point)
            if not await field.fleet.gone(name, _FAILPOINT_PATIENCE):
                await field.fleet.kill(name)
            field.fleet.start(name)


FAULTS = {
    "crash-worker": crash_worker,
    "crash-projector": crash_projector,
    "crash-gateway": crash_gateway,
    "zombie-worker": zombie_worker,
    "zombie-projector": zombie_projector,
    "pause-briefly": pause_briefly,
    "lose-worker": lose_worker,
    "rebalance-storm": rebalance_storm,
    "rolling-restart": rolling_restart,
    "failpoint": die_at_failpoint,
}
