"""Everything that can be broken, by name."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from tests.chaos.faults import brokers, messages, processes, stores
from tests.chaos.field import Field

Breaks = Callable[[Field], Awaitable[None]]

FAULTS: Mapping[str, Breaks] = MappingProxyType(
    {**processes.FAULTS, **brokers.FAULTS, **stores.FAULTS, **messages.FAULTS}
)


def possible(field: Field) -> list[str]:
    """The faults there are for what this run consists of."""
    missing = set(stores.OF_A_SERVER) if field.store is None else set()
    if not field.disk.can_be_filled:
        missing.add("disk-full")
    if len(field.cluster.brokers) < 2:
        missing |= set(brokers.OF_MANY)
    return [name for name in FAULTS if name not in missing]
