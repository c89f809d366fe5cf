"""Who was alive, awake and in touch when: what a checker needs to be fair."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from tests.chaos.evidence import Evidence
from tests.chaos.history import FULL, Away, Life

Interval = tuple[float, float]
FOREVER = float("inf")
LEARNING = 8.0
"""Seconds after which a worker that was away knows what has become of its partitions."""


@dataclass(slots=True)
class Timeline:
    ended: dict[int, float] = field(default_factory=dict)
    """When each process ended."""
    asleep: dict[int, list[Interval]] = field(default_factory=dict)
    """When each process was paused, and the time it needs to learn what it missed."""
    away: dict[str, list[Interval]] = field(default_factory=dict)
    """When a server was not to be reached, and the time to recover."""

    @classmethod
    def of(cls, evidence: Evidence) -> Self:
        asleep: defaultdict[int, list[Interval]] = defaultdict(list)
        away: defaultdict[str, list[Interval]] = defaultdict(list)
        ended, since = {}, dict[int, float]()
        for entry in evidence.entries(Life):
            if entry.change == "ended":
                ended[entry.pid] = entry.at
            elif entry.change == "paused":
                since[entry.pid] = entry.at
            elif entry.change == "resumed" and entry.pid in since:
                asleep[entry.pid].append((since.pop(entry.pid), entry.at + LEARNING))
        for pid, at in since.items():
            asleep[pid].append((at, FOREVER))
        for each in evidence.entries(Away):
            if each.how != FULL:
                away[each.server].append((each.began, each.at + LEARNING))
        return cls(ended, dict(asleep), dict(away))

    def unexcused(self, interval: Interval, pids: Iterable[int]) -> float:
        """How much of a stretch of time these processes were awake and in touch with Kafka."""
        excuses = [*self.away.get("kafka", [])]
        for pid in pids:
            excuses += self.asleep.get(pid, [])
        return length_without(interval, excuses)


def length_without(interval: Interval, others: Iterable[Interval]) -> float:
    """How long an interval is beside all the others."""
    start, end = interval
    left = max(0.0, end - start)
    reached = start
    for other in sorted(others):
        begins, ends = max(other[0], reached), min(other[1], end)
        if ends > begins:
            left -= ends - begins
            reached = ends
    return left
