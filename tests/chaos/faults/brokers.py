"""Faults of Kafka and of the way to it."""

import asyncio

from tests.chaos.faults.controller import active_controller
from tests.chaos.field import Field
from tests.chaos.fleet import SESSION_SECONDS
from tests.chaos.proxy import Proxy


async def crash_broker(field: Field) -> None:
    brokers = field.cluster.brokers
    async with field.taking("kafka"):
        index = field.chance.randrange(len(brokers))
        down = field.chance.uniform(0.5, 4)
        await _crash(field, "kill -9, restart", index, down)


async def move_controller(field: Field) -> None:
    """The broker that leads the cluster dies, and another one takes over."""
    async with field.taking("kafka"):
        number = await asyncio.to_thread(active_controller, field.cluster.brokers)
        await _crash(field, "controller moves", number - 1, 6.0)


async def _crash(field: Field, kind: str, index: int, down: float) -> None:
    async with (
        field.fault(kind, f"broker-{index + 1}", f"down {down:.1f} s"),
        field.away("kafka", "crashed"),
    ):
        await field.cluster.kill(index)
        await asyncio.sleep(down)
        await field.cluster.start(index)


async def cut_kafka(field: Field) -> None:
    """Every connection breaks, and for a while none is taken."""
    async with field.taking("kafka"):
        refusing = field.chance.choice((0.0, 1.0, 3.0))
        async with (
            field.fault("connections cut", "kafka", f"none taken for {refusing:.0f} s"),
            field.away("kafka", "cut off"),
        ):
            for proxy in _proxies(field):
                proxy.refusing = refusing > 0
                proxy.cut()
            try:
                await asyncio.sleep(refusing)
            finally:
                _heal(field)


async def silence_kafka(field: Field) -> None:
    """Connections stay open and nothing passes, longer than a session lasts."""
    async with (
        field.taking("kafka"),
        field.fault("silence", "kafka", f"{SESSION_SECONDS + 2:.0f} s"),
        field.away("kafka", "silent"),
    ):
        for proxy in _proxies(field):
            proxy.silent = True
        try:
            await asyncio.sleep(SESSION_SECONDS + 2)
        finally:
            _heal(field)


async def slow_kafka(field: Field) -> None:
    async with field.taking("kafka"):
        delay = field.chance.uniform(0.05, 0.4)
        async with (
            field.fault("slow", "kafka", f"{delay * 1000:.0f} ms each way for 6 s"),
            field.away("kafka", "slow"),
        ):
            for proxy in _proxies(field):
                proxy.delay = delay
            try:
                await asyncio.sleep(6)
            finally:
                _heal(field)


def _proxies(field: Field) -> list[Proxy]:
    return field.cluster.proxies


def _heal(field: Field) -> None:
    for proxy in _proxies(field):
        proxy.heal()


FAULTS = {
    "crash-broker": crash_broker,
    "move-controller": move_controller,
    "cut-kafka": cut_kafka,
    "silence-kafka": silence_kafka,
    "slow-kafka": slow_kafka,
}
OF_MANY = ("move-controller",)
"""Faults of a cluster; the one broker of a small one is its controller anyway."""
