"""How much a worker holds in memory, and for how much more it has room."""

from app.adapters.kafka.claims import Claim, Limits, Room
from app.adapters.kafka.commits import Partition

_CROWDED = 0.9


class Buffer:
    """Counts records of urgent topics and all others apart, and their bytes together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._low = (limits.buffer - limits.slots) // 2
        self._others = 0
        self._urgent = 0
        self._bytes = 0

    @property
    def room(self) -> Room:
        """How many records may be added."""
        limits = self._limits
        full = self._bytes >= limits.buffer_bytes
        others = 0 if full else limits.buffer - self._others
        return Room(others, limits.urgent_buffer - self._urgent)

    def add(self, claim: Claim) -> None:
        self._count(claim, 1)

    def remove(self, claim: Claim) -> None:
        self._count(claim, -1)

    def lose(self, partition: Partition, *, urgent: bool) -> None:
        """Forget all that is held of a partition."""
        if urgent:
            self._urgent -= partition.offsets.unfinished
        else:
            self._others -= partition.offsets.unfinished
        self._bytes -= partition.held_bytes

    def half_empty(self, running: int) -> bool:
        """Whether it is time to read on, where so many of the records run."""
        return self._others - running <= self._low

    def crowded_by(self, claim: Claim) -> bool:
        """Whether it is nearly full, or the claim keeps its partition's commits behind."""
        limits, reached = self._limits, claim.partition.offsets.next or 0
        return (
            self._others > limits.buffer * _CROWDED
            or self._bytes > limits.buffer_bytes * _CROWDED
            or reached - claim.record.offset > limits.window // 2
        )

    def _count(self, claim: Claim, sign: int) -> None:
        if claim.urgent:
            self._urgent += sign
        else:
            self._others += sign
        size = sign * len(claim.record.value or b"")
        self._bytes += size
        claim.partition.held_bytes += size
