"""Who runs next: order where it is asked for, the urgent before the others, and a share for each.

Items of one lane wait for each other, items of different lanes do not. Each item has a rank, of
which 0 is the best, and belongs to one of those who share the slots: within a rank, whoever has the
fewest running is next, and of several such whoever has not been for the longest time.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from itertools import chain
from typing import Generic, TypeVar

Item = TypeVar("Item")
_EVERY = 8
"""Of so many items taken one is of the rank of the one that has waited longest."""
_Line = deque[tuple[int, Hashable]]
"""Lanes whose first item may run, with their numbers in line."""


class Lanes(Generic[Item]):
    """Items in lanes; of each lane only the first may run, and it holds the lane until finished."""

    def __init__(
        self,
        ranks: int = 1,
        rank: Callable[[Item], int] = lambda _: 0,
        sharer: Callable[[Item], Hashable] = lambda _: None,
    ) -> None:
        self._lanes: dict[Hashable, list[Item]] = {}
        self._ready: list[dict[Hashable, _Line]] = [{} for _ in range(ranks)]
        """For each rank a line of each sharer; those that have been taken from last stand last."""
        self._rank = rank
        self._sharer = sharer
        self._number = 0
        self._taken = 0

    def add(self, lane: Hashable, item: Item) -> None:
        """Queue an item behind the others of its lane."""
        if waiting := self._lanes.get(lane):
            waiting.append(item)
            return
        self._lanes[lane] = [item]
        self._line_up(lane, item)

    def take(
        self, ranks: int | None = None, running: Callable[[Hashable], int] = lambda _: 0
    ) -> Item | None:
        """The next item that may run; None when every lane is empty or held.

        With `ranks`, one of the best so many only. `running` says how many run of each sharer.
        """
        while (found := self._next(ranks, running)) is not None:
            lines, sharer = found
            line = lines.pop(sharer)
            _, lane = line.popleft()
            if line:
                lines[sharer] = line  # behind the others
            if waiting := self._lanes.get(lane):
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
        for lines in self._ready:
            for sharer, line in list(lines.items()):
                kept = deque((number, lane) for number, lane in line if lane not in gone)
                if kept:
                    lines[sharer] = kept
                else:
                    del lines[sharer]

    def _line_up(self, lane: Hashable, first: Item) -> None:
        self._number += 1
        lines = self._ready[self._rank(first)]
        lines.setdefault(self._sharer(first), deque()).append((self._number, lane))

    def _next(
        self, ranks: int | None, running: Callable[[Hashable], int]
    ) -> "tuple[dict[Hashable, _Line], Hashable] | None":
        """The lines to take from, and whose of them."""
        ready = [lines for lines in self._ready[:ranks] if lines]
        if not ready:
            return None
        lines = ready[0]
        if len(ready) > 1 and self._taken % _EVERY == _EVERY - 1:
            lines = min(ready, key=_oldest)
        return lines, min(lines, key=running)


def _oldest(lines: dict[Hashable, _Line]) -> int:
    return min(line[0][0] for line in lines.values())
