"""How much a worker holds in memory, and for how much more it has room."""

from collections import Counter
from collections.abc import Callable

from app.adapters.kafka.claims import Claim, Limits
from app.adapters.kafka.commits import Partition
from app.adapters.kafka.turns import Room

_CROWDED = 0.9


class Buffer:
    """Counts records of urgent topics and all others apart, and their bytes together.

    A topic may fill all the room there is. Where that leaves none to another topic, the other one
    may still have as many as if the room were shared out evenly; so what is held is bounded by the
    limit times 1 + 1/2 + 1/3 + ... for as many topics as there are.
    """

    def __init__(self, limits: Limits, urgent: Callable[[str], bool] = lambda _: False) -> None:
        self._limits = limits
        self._is_urgent = urgent
        self._low = (limits.buffer - limits.slots) // 2
        self._others, self._urgent = _Held(), _Held()
        self._bytes = 0

    @property
    def room(self) -> Room:
        """How many records may be added, as of now."""
        full = self._bytes >= self._limits.buffer_bytes
        return _Room(self._limits, self._others, self._urgent, self._is_urgent, full=full)

    def add(self, claim: Claim) -> None:
        self._count(claim, 1)

    def remove(self, claim: Claim) -> None:
        self._count(claim, -1)

    def lose(self, partition: Partition) -> None:
        """Forget all that is held of a partition."""
        topic = partition.name.topic
        held = self._urgent if self._is_urgent(topic) else self._others
        held.add(topic, -partition.offsets.unfinished)
        self._bytes -= partition.held_bytes

    def half_empty(self, running: int, topic: str, running_of_topic: int) -> bool:
        """Whether it is time to read on, where so many of the records run, and so many of a topic.

        A topic that has to do with its share must not run dry: others would take its slots.
        """
        if self._others.total - running <= self._low:
            return True
        share = self._limits.buffer // max(len(self._others.of), 1)
        return self._others.of[topic] - running_of_topic <= share // 2

    def crowded_by(self, claim: Claim) -> bool:
        """Whether it is nearly full, or the claim keeps its partition's commits behind."""
        limits, reached = self._limits, claim.partition.offsets.next or 0
        return (
            self._others.total > limits.buffer * _CROWDED
            or self._bytes > limits.buffer_bytes * _CROWDED
            or reached - claim.record.offset > limits.window // 2
        )

    def _count(self, claim: Claim, sign: int) -> None:
        (self._urgent if claim.urgent else self._others).add(claim.record.topic, sign)
        size = sign * len(claim.record.value or b"")
        self._bytes += size
        claim.partition.held_bytes += size


class _Room(Room):
    def __init__(
        self,
        limits: Limits,
        others: "_Held",
        urgent: "_Held",
        is_urgent: Callable[[str], bool],
        *,
        full: bool,
    ) -> None:
        """`full`: only an urgent topic, or one of which nothing is held, may add a record."""
        self._others = _Part(limits.buffer, others, full=full)
        self._urgent = _Part(limits.urgent_buffer, urgent, full=False)
        self._is_urgent = is_urgent

    def of(self, topic: str) -> int:
        return self._part(topic).of(topic)

    def took(self, topic: str, count: int) -> None:
        self._part(topic).took(topic, count)

    def _part(self, topic: str) -> "_Part":
        return self._urgent if self._is_urgent(topic) else self._others


class _Part:
    def __init__(self, limit: int, held: "_Held", *, full: bool) -> None:
        self._limit = limit
        self._held = held.of.copy()
        self._total = held.total
        self._full = full

    def of(self, topic: str) -> int:
        held = self._held[topic]
        if self._full:
            return 0 if held else 1
        share = max(1, self._limit // (len(self._held) + (not held))) - held
        return max(self._limit - self._total, share)

    def took(self, topic: str, count: int) -> None:
        self._held[topic] += count
        self._total += count


class _Held:
    """How many records are held, of each topic and in all."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self.total = 0

    def add(self, topic: str, count: int) -> None:
        self.total += count
        self.of[topic] += count
        if not self.of[topic]:
            del self.of[topic]
