"""Who runs next: order where it is asked for, the urgent before the others, nobody never.

Items of one lane wait for each other, items of different lanes do not. Each item has a rank, of
which 0 is the best.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from itertools import chain
from typing import Generic, TypeVar

Item = TypeVar("Item")
_EVERY = 8
"""Of so many items taken one is the one that has waited longest, whatever its rank."""


class Lanes(Generic[Item]):
    """Items in lanes; of each lane only the first may run, and it holds the lane until finished."""

    def __init__(self, ranks: int = 1, rank: Callable[[Item], int] = lambda _: 0) -> None:
        self._lanes: dict[Hashable, list[Item]] = {}
        self._ready: list[deque[tuple[int, Hashable]]] = [deque() for _ in range(ranks)]
        """For each rank the lanes whose first item may run, with their numbers in line."""
        self._rank = rank
        self._number = 0
        self._taken = 0

    def add(self, lane: Hashable, item: Item) -> None:
        """Queue an item behind the others of its lane."""
        if waiting := self._lanes.get(lane):
            waiting.append(item)
            return
        self._lanes[lane] = [item]
        self._line_up(lane, item)

    def take(self, ranks: int | None = None) -> Item | None:
        """The next item that may run; None when every lane is empty or held.

        With `ranks`, one of the best so many only.
        """
        while (ready := self._next(ranks)) is not None:
            if waiting := self._lanes.get(ready.popleft()[1]):
                self._taken += 1
                return waiting[0]
        return None

    def __iter__(self) -> Iterator[Item]:
        return chain.from_iterable(self._lanes.values())

    def finish(self, lane: Hashable) -> None:
        """The lane's first item is done: let the next one run."""
        waiting = self._lanes[lane]
        del waiting[0]
        if waiting:
            self._line_up(lane, waiting[0])
        else:
            del self._lanes[lane]

    def retry(self, lane: Hashable) -> None:
        """The lane's first item shall run again, before those behind it."""
        if waiting := self._lanes.get(lane):
            self._line_up(lane, waiting[0])

    def drop(self, unwanted: Callable[[Item], bool]) -> None:
        """Forget the lanes whose items are unwanted; a lane's items are all of one partition."""
        gone = {lane for lane, waiting in self._lanes.items() if unwanted(waiting[0])}
        for lane in gone:
            del self._lanes[lane]
        self._ready = [
            deque((number, lane) for number, lane in ready if lane not in gone)
            for ready in self._ready
        ]

    def _line_up(self, lane: Hashable, first: Item) -> None:
        self._number += 1
        self._ready[self._rank(first)].append((self._number, lane))

    def _next(self, ranks: int | None) -> "deque[tuple[int, Hashable]] | None":
        """The line to take from."""
        lines = self._ready if ranks is None else self._ready[:ranks]
        if len(lines) > 1 and self._taken % _EVERY == _EVERY - 1:
            return min(filter(None, lines), key=lambda line: line[0][0], default=None)
        for line in lines:
            if line:
                return line
        return None
