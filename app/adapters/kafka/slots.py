"""How many records run, and who may begin beside them."""

import asyncio
from collections import Counter
from collections.abc import Hashable

from app.adapters.kafka.claims import Claim, Limits, Precedence


class Slots:
    """Some of them are kept for records whose rank is urgent, whatever their topic."""

    def __init__(self, limits: Limits, precedence: Precedence) -> None:
        self._slots = limits.slots
        self._for_others = limits.slots - limits.urgent_slots
        self._urgent_ranks = precedence.urgent_ranks
        self.running = 0
        self._running_of: Counter[Hashable] = Counter()
        self.free = True
        """Whether one more may begin."""
        self.ranks: int | None = None
        """Of the best how many ranks it must be; None where any will do."""
        self._running_others = 0
        self._idle = asyncio.Event()
        self._count(0)

    def take(self, claim: Claim) -> None:
        self._running_others += claim.rank >= self._urgent_ranks
        self._running_of[claim.record.topic] += 1
        self._count(1)

    def give_back(self, claim: Claim) -> None:
        self._running_others -= claim.rank >= self._urgent_ranks
        self._running_of[claim.record.topic] -= 1
        self._count(-1)
        if self.running == 0:
            self._idle.set()

    def running_of(self, topic: Hashable) -> int:
        """How many run that came by this topic."""
        return self._running_of[topic]

    async def all_free(self) -> None:
        """Return once nothing runs."""
        while self.running:
            self._idle.clear()
            await self._idle.wait()

    def _count(self, sign: int) -> None:
        self.running += sign
        self.free = self.running < self._slots
        self.ranks = self._urgent_ranks if self._running_others >= self._for_others else None
