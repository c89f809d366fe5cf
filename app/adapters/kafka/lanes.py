"""Order where it is asked for: records with the same key wait for each other, others do not."""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Lanes(Generic[Item]):
    """Items in lanes; of each lane only the first may run, and it holds the lane until finished."""

    def __init__(self) -> None:
        self._lanes: dict[Hashable, deque[Item]] = {}
        self._ready: deque[Hashable] = deque()

    def add(self, lane: Hashable, item: Item) -> None:
        """Queue an item behind the others of its lane."""
        if waiting := self._lanes.get(lane):
            waiting.append(item)
            return
        self._lanes[lane] = deque([item])
        self._ready.append(lane)

    def take(self) -> Item | None:
        """The next item that may run; None when every lane is empty or held."""
        while self._ready:
            if waiting := self._lanes.get(self._ready.popleft()):
                return waiting[0]
        return None

    def finish(self, lane: Hashable) -> None:
        """The lane's first item is done: let the next one run."""
        waiting = self._lanes[lane]
        waiting.popleft()
        if waiting:
            self._ready.append(lane)
        else:
            del self._lanes[lane]

    def retry(self, lane: Hashable) -> None:
        """The lane's first item shall run again, before those behind it."""
        if lane in self._lanes:
            self._ready.append(lane)

    def drop(self, unwanted: Callable[[Item], bool]) -> None:
        """Forget the lanes whose items are unwanted; a lane's items are all of one partition."""
        gone = {lane for lane, waiting in self._lanes.items() if unwanted(waiting[0])}
        for lane in gone:
            del self._lanes[lane]
        self._ready = deque(lane for lane in self._ready if lane not in gone)
