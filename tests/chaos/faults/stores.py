"""Faults of the views' database; the work goes on without it, only nobody can look."""

import asyncio

from tests.chaos.field import Field, NothingToBreak
from tests.chaos.history import FULL
from tests.chaos.storing import StoreServer


def _server(field: Field) -> StoreServer:
    if field.store is None:
        raise NothingToBreak
    return field.store


async def crash_store(field: Field) -> None:
    store = _server(field)
    async with field.taking("store"):
        down = field.chance.uniform(0.5, 6)
        async with (
            field.fault("kill -9, restart", "postgres", f"down {down:.1f} s"),
            field.away("store", "crashed"),
        ):
            await store.kill()
            await asyncio.sleep(down)
            await store.start()


async def cut_store(field: Field) -> None:
    store = _server(field)
    async with (
        field.taking("store"),
        field.fault("connections cut", "postgres", "none taken for 2 s"),
        field.away("store", "cut off"),
    ):
        store.proxy.refusing = True
        store.proxy.cut()
        try:
            await asyncio.sleep(2)
        finally:
            store.proxy.heal()


async def slow_store(field: Field) -> None:
    store = _server(field)
    async with (
        field.taking("store"),
        field.fault("slow", "postgres", "300 ms each way for 6 s"),
        field.away("store", "slow"),
    ):
        store.proxy.delay = 0.3
        try:
            await asyncio.sleep(6)
        finally:
            store.proxy.heal()


async def disk_full(field: Field) -> None:
    """The views refuse what would make them larger, and have room again later."""
    async with field.taking("store"):
        seconds = field.chance.uniform(3, 8)
        async with (
            field.fault("disk full", "store", f"{seconds:.1f} s"),
            field.away("store", FULL),
        ):
            await asyncio.to_thread(field.disk.fill)
            try:
                await asyncio.sleep(seconds)
            finally:
                refused = await asyncio.to_thread(field.disk.free)
        field.say(f"{'':10}{refused} writes were refused")


OF_A_SERVER = {"crash-store": crash_store, "cut-store": cut_store, "slow-store": slow_store}
"""Faults of a database that has a server; SQLite is a file."""
FAULTS = {**OF_A_SERVER, "disk-full": disk_full}
