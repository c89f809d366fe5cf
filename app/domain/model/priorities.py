"""Who goes first, where tasks wait for a worker."""

from enum import StrEnum


class Priority(StrEnum):
    """How much of a hurry a task is in. It decides who begins, never who is stopped."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def urgent(self) -> bool:
        """Whether it passes tasks that were there long before it."""
        return self in _URGENT

    @property
    def rank(self) -> int:
        """Its place in line: 0 goes first."""
        return _RANKS[self]


RANKS = len(Priority)
_RANKS = {priority: rank for rank, priority in enumerate(Priority)}
_URGENT = frozenset({Priority.CRITICAL, Priority.HIGH})
