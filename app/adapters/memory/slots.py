"""So many at once; of those who wait, the most urgent first, and a share for each agent."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple

from app.domain.model.priorities import Priority

_EVERY = 8
"""Of so many places one goes to the rank of who has waited longest, however low it is."""


class _Waiting(NamedTuple):
    rank: int
    number: int
    urgent: bool
    agent: str
    turn: "asyncio.Future[None]"


class Slots:
    def __init__(self, slots: int, *, urgent: int = 0) -> None:
        """`urgent` of the slots are kept for urgent tasks."""
        self._free = slots
        self._free_for_others = slots - urgent
        self._waiting: list[_Waiting] = []
        self._number = count()
        self._given = 0
        self._running: Counter[str] = Counter()
        self._last: dict[str, int] = {}
        """When each agent was given its last slot."""

    @asynccontextmanager
    async def one(self, priority: Priority, agent: str = "") -> AsyncIterator[None]:
        """Hold a slot, once it is our turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(
            _Waiting(priority.rank, next(self._number), priority.urgent, agent, turn)
        )
        self._give()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += 1
                self._free_for_others += not priority.urgent
                self._running[agent] -= 1
            self._give()

    def _give(self) -> None:
        while self._free:
            self._waiting = [each for each in self._waiting if not each.turn.done()]
            may = [each for each in self._waiting if each.urgent or self._free_for_others > 0]
            if not may:
                return
            self._given += 1
            rank = min(may, key=_number if self._given % _EVERY == 0 else _rank).rank
            first = min((each for each in may if each.rank == rank), key=self._turn)
            self._running[first.agent] += 1
            self._last[first.agent] = self._given
            first.turn.set_result(None)
            self._free -= 1
            self._free_for_others -= not first.urgent

    def _turn(self, waiting: _Waiting) -> tuple[int, int, int]:
        agent = waiting.agent
        return self._running[agent], self._last.get(agent, 0), waiting.number


def _number(waiting: _Waiting) -> int:
    return waiting.number


def _rank(waiting: _Waiting) -> int:
    return waiting.rank
