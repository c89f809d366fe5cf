"""So many at once; of those who wait, the most urgent first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple

from app.domain.model.priorities import Priority

_EVERY = 8
"""Of so many places one goes to who has waited longest, however little hurry they are in."""


class _Waiting(NamedTuple):
    rank: int
    number: int
    urgent: bool
    turn: "asyncio.Future[None]"


class Slots:
    def __init__(self, slots: int, *, urgent: int = 0) -> None:
        """`urgent` of the slots are kept for urgent tasks."""
        self._free = slots
        self._free_for_others = slots - urgent
        self._waiting: list[_Waiting] = []
        self._number = count()
        self._given = 0

    @asynccontextmanager
    async def one(self, priority: Priority) -> AsyncIterator[None]:
        """Hold a slot, once it is our turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(priority.rank, next(self._number), priority.urgent, turn))
        self._give()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += 1
                self._free_for_others += not priority.urgent
            self._give()

    def _give(self) -> None:
        while self._free:
            self._waiting = [each for each in self._waiting if not each.turn.done()]
            may = [each for each in self._waiting if each.urgent or self._free_for_others > 0]
            if not may:
                return
            self._given += 1
            oldest = self._given % _EVERY == 0
            first = min(may, key=lambda each: each.number if oldest else each[:2])
            first.turn.set_result(None)
            self._free -= 1
            self._free_for_others -= not first.urgent
