"""Faults of the views' database; the work goes on without it, only nobody can look."""

import asyncio

from tests.chaos.field import Field, NothingToBreak
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


FAULTS = {"crash-store": crash_store, "cut-store": cut_store, "slow-store": slow_store}
