"""What of one partition is done, what is running, and how that survives in the group's commit.

Kafka keeps one position per partition; tasks end in any order. So the position we commit is the
lowest offset below which all is done, and the commit's metadata says what is done above it and
which attempts are running: a restarted worker skips the former and numbers the latter on.
"""

import base64
import logging
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

MAX_METADATA = 4_000
"""Characters; brokers refuse more than `offset.metadata.max.bytes`, by default 4,096."""
_NEARLY_FULL = 0.75
_UNCOMMITTED_REACH = 1_024
"""How far past its last commit an owner that died may have started records."""

_log = logging.getLogger(__name__)


class Tries(NamedTuple):
    """The runs of one record so far."""

    starts: int = 0
    failures: int = 0
    """Those that ended by a failure of the task's own."""
    interrupted: int = 0
    """Those that ended with their worker, nobody knows why, or broke what it does with them; what
    is left was nobody's fault."""
    not_before: int = 0
    """When the next one may begin, in seconds since 1970; 0 where no run asked for a wait."""


UNTRIED = Tries()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a partition, as one commit can carry it."""

    position: int
    """The offset to commit: all below it is done."""
    seen: int
    """The next offset to be read when the snapshot was taken."""
    done: int = 0
    """A set of bits: bit i tells that offset `position + i` is done."""
    running: Mapping[int, Tries] = field(default_factory=dict)
    """The runs of each started, unfinished offset, as they count if the owner dies now."""

    def is_done(self, offset: int) -> bool:
        return offset < self.position or bool(self.done >> (offset - self.position) & 1)

    def encode(self) -> str:
        """The metadata of the commit; its size grows with the span of `done`, not the count."""
        numbers = [self.seen - self.position, len(self.running)]
        for offset, tries in sorted(self.running.items()):
            numbers += [offset - self.position, *tries]
        bits = self.done.to_bytes((self.done.bit_length() + 7) // 8, "little")
        raw = b"".join(map(_varint, numbers)) + bits
        packed = zlib.compress(raw, 6) if len(raw) > 48 else raw
        mark, body = ("z", packed) if len(packed) < len(raw) else ("r", raw)
        return mark + base64.b64encode(body).decode()

    @classmethod
    def decode(cls, position: int, metadata: str | None) -> "Snapshot":
        """The snapshot in a commit. One that cannot be read costs repeated runs, no loss."""
        if not metadata:
            return cls(position, seen=position)
        try:
            raw = base64.b64decode(metadata[1:], validate=True)
            stream = iter(_unpacked(metadata[0], raw))
            seen, count = position + _read(stream), _read(stream)
            running = {
                position + _read(stream): Tries(*(_read(stream) for _ in Tries._fields))
                for _ in range(count)
            }
        except (ValueError, zlib.error):
            _log.warning("the commit's metadata cannot be read: work done above it is run again")
            return cls(position, seen=position)
        return cls(position, seen, int.from_bytes(bytes(stream), "little"), running)


class Gaps:
    """Stretches of offsets that hold no record for us, in the order they are found.

    Transactions leave one where they end, and their records where they were aborted; compaction
    and retention leave what they deleted.
    """

    def __init__(self) -> None:
        self._stretches: deque[tuple[int, int]] = deque()
        self.offsets = 0
        """How many offsets lie in them."""

    def add(self, start: int, end: int) -> None:
        if start >= end:
            return
        self.offsets += end - start
        if self._stretches and self._stretches[-1][1] == start:
            start, _ = self._stretches.pop()
        self._stretches.append((start, end))

    def forget_below(self, offset: int) -> None:
        while self._stretches and self._stretches[0][0] < offset:
            start, end = self._stretches.popleft()
            self.offsets -= end - start
            if end > offset:
                self._stretches.appendleft((offset, end))
                self.offsets += end - offset


class PartitionOffsets:
    """Follows one partition from its assignment on."""

    def __init__(self, restored: Snapshot | None, end: int) -> None:
        """`restored` is the last commit, if there is one; `end` is where the partition ends now."""
        self.next: int | None = restored.position if restored else None
        """The next offset to be read; None as long as nothing was committed or read."""
        self._open: dict[int, Tries] = {}  # in the order of offsets
        self._active: set[int] = set()  # those of them that run now
        self._excused: set[int] = set()  # those of these whose worker's death proves nothing
        self._ahead = restored or Snapshot(0, 0)  # what former owners did, as far as they told
        self._suspect_below = min(self._ahead.seen + _UNCOMMITTED_REACH, end)
        self._metadata_size = 0
        self._gaps = Gaps()
        """Above the position."""

    def accept(self, offset: int) -> bool:
        """Note a record that was read. False: nothing to do, it is done or was read before."""
        if self.next is not None and offset < self.next:
            return False
        if self.next is not None:
            self._gaps.add(self.next, offset)
        self.next = offset + 1
        if self._ahead.is_done(offset):
            return False
        self._open[offset] = self._ahead.running.get(offset, UNTRIED)
        return True

    def pass_over(self, following: int) -> bool:
        """Note that no record stands before this offset but those that were read; if it is news."""
        if following <= (self.next or 0):
            return False
        if self.next is not None:
            self._gaps.add(self.next, following)
        self.next = following
        return True

    def went_back(self, offset: int) -> bool:
        """Whether a record stands below all that is done: its topic was deleted and made again."""
        return self.next is not None and offset < self._position()

    def may_have_run(self, offset: int) -> bool:
        """Whether a former owner may have started this record."""
        return offset < self._suspect_below

    def tries(self, offset: int) -> Tries:
        """The runs so far of a record that is not done."""
        return self._open[offset]

    def start(self, offset: int) -> Tries:
        """Count another run, and return them all."""
        starts, failures, interrupted, not_before = self._open[offset]
        self._open[offset] = tries = Tries(starts + 1, failures, interrupted, not_before)
        self._active.add(offset)
        return tries

    def excuse(self, offset: int) -> bool:
        """Do not count it as interrupted if its owner dies in this run; whether that is news."""
        if offset not in self._active or offset in self._excused:
            return False
        self._excused.add(offset)
        return True

    def runs(self, offset: int) -> bool:
        """Whether this record runs now."""
        return offset in self._active

    def end(
        self,
        offset: int,
        *,
        failed: bool,
        broke: bool = False,
        counted: bool = True,
        not_before: int = 0,
    ) -> None:
        """The run is over, the record is not; `failed` counts against the task.

        One that `broke` is as good as one that ended with its worker. Where it is not `counted`,
        it was no run, and what was known of the next one stays.
        """
        self._active.discard(offset)
        self._excused.discard(offset)
        tries = self._open[offset]
        if not counted:
            self._open[offset] = tries._replace(starts=tries.starts - 1)
        elif failed:
            self._open[offset] = tries._replace(failures=tries.failures + 1, not_before=not_before)
        elif broke:
            self._open[offset] = tries._replace(interrupted=tries.interrupted + 1)

    def complete(self, offset: int) -> None:
        """The record's outcome is durable."""
        self._active.discard(offset)
        self._excused.discard(offset)
        self._open.pop(offset, None)

    @property
    def in_hand(self) -> frozenset[int]:
        """The records that were read and are not done."""
        return frozenset(self._open)

    @property
    def running(self) -> int:
        """How many records run now."""
        return len(self._active)

    @property
    def unfinished(self) -> int:
        return len(self._open)

    @property
    def blocked(self) -> bool:
        """Whether the metadata is nearly full: read nothing more until the lowest work is done."""
        return self._metadata_size > MAX_METADATA * _NEARLY_FULL

    @property
    def window(self) -> int:
        """How many records stand between the position and the next offset to be read."""
        self._gaps.forget_below(self._position())
        return self.span - self._gaps.offsets

    @property
    def span(self) -> int:
        """How many offsets lie there."""
        return (self.next or 0) - self._position()

    def commit(self, *, handing_over: bool = False) -> tuple[int, str] | None:
        """What to commit now: position and metadata; None as long as nothing was read.

        Where an owner dies, what runs counts as interrupted; where it is `handing_over`, not.
        """
        if self.next is None:
            return None
        position = self._position()
        snapshot = Snapshot(
            position,
            seen=max(self.next, self._ahead.seen),
            done=self._done_from(position, self.next),
            running=self._running(self.next, handing_over=handing_over),
        )
        metadata = snapshot.encode()
        self._metadata_size = len(metadata)
        if len(metadata) > MAX_METADATA:  # rather forget attempts than what is done
            metadata = replace(snapshot, running={}).encode()
        return position, metadata if len(metadata) <= MAX_METADATA else ""

    def _position(self) -> int:
        return next(iter(self._open), self.next or 0)

    def _done_from(self, position: int, reached: int) -> int:
        unfinished = bytearray((reached - position) // 8 + 1)
        for offset in self._open:
            unfinished[(offset - position) >> 3] |= 1 << ((offset - position) & 7)
        done = (1 << (reached - position)) - 1 ^ int.from_bytes(unfinished, "little")
        beyond = self._ahead.done >> max(0, reached - self._ahead.position)
        return done | beyond << (max(reached, self._ahead.position) - position)

    def _running(self, reached: int, *, handing_over: bool) -> dict[int, Tries]:
        running = {offset: tries for offset, tries in self._open.items() if tries.starts}
        if not handing_over:
            for offset in self._active - self._excused:
                starts, failures, interrupted, not_before = running[offset]
                running[offset] = Tries(starts, failures, interrupted + 1, not_before)
        ahead = self._ahead.running.items()
        return running | {offset: tries for offset, tries in ahead if offset >= reached}


def _unpacked(mark: str, raw: bytes) -> bytes:
    if mark == "z":
        return zlib.decompress(raw)
    if mark == "r":
        return raw
    raise ValueError("a form we do not know")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read(stream: Iterator[int]) -> int:
    number = shift = 0
    for byte in stream:
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
        shift += 7
    raise ValueError("the metadata ends within a number")
