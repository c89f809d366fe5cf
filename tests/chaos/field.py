"""Where faults happen: what can be broken, which fault has it now, and the record of it."""

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from tests.chaos.cluster import Cluster
from tests.chaos.disks import Disk
from tests.chaos.fleet import Fleet
from tests.chaos.history import Away, Fault, History
from tests.chaos.producing import Producers
from tests.chaos.redriving import Redrivers
from tests.chaos.storing import StoreServer

Say = Callable[[str], None]


class NothingToBreak(Exception):
    """Another fault has all there is of it at the moment."""


@dataclass(slots=True)
class Field:
    fleet: Fleet
    cluster: Cluster
    store: StoreServer | None
    """The database's server, where the store has one."""
    disk: Disk
    producers: Producers
    redrivers: Redrivers
    history: History
    chance: random.Random
    say: Say
    began: float = field(default_factory=time.time)
    taken: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    """Processes that do not come back as long as faults go on."""
    count: int = 0

    @asynccontextmanager
    async def taking(self, *names: str) -> AsyncIterator[str]:
        """Have one of these for the time of a fault, one that no other fault has."""
        free = [name for name in names if name not in self.taken | self.given_up]
        free = [name for name in free if "-" not in name or self._ready(name)]
        if not free:
            raise NothingToBreak
        chosen = self.chance.choice(free)
        self.taken.add(chosen)
        try:
            yield chosen
        finally:
            self.taken.discard(chosen)

    def _ready(self, name: str) -> bool:
        return name.startswith("broker-") or self.fleet.up(name)

    @asynccontextmanager
    async def fault(self, kind: str, target: str, detail: str = "") -> AsyncIterator[None]:
        """Note and say that something is broken now, and later that it is not."""
        self.count += 1
        entry = Fault(kind=kind, phase="begins", target=target, detail=detail, number=self.count)
        self.history.add(entry)
        self.say(f"{entry.at - self.began:6.1f} s  {kind:<22} {target:<12} {detail}".rstrip())
        try:
            yield
        finally:
            over = {"phase": "over", "at": time.time()}
            self.history.add(entry.model_copy(update=over))

    @asynccontextmanager
    async def away(self, server: Literal["kafka", "store"], how: str) -> AsyncIterator[None]:
        """Note for how long a server could not be reached as usual."""
        began = time.time()
        try:
            yield
        finally:
            self.history.add(Away(server=server, began=began, how=how))
