"""Counts the records between two offsets of a partition, which only reading them tells.

Offsets are no count: the end of a transaction takes one, aborted records keep theirs, and retention
and compaction leave holes. What was counted is remembered for some minutes, so that a record that
waits is not read at every look.
"""

import asyncio
import math
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.adapters.kafka.claims import Record, Records
from app.adapters.kafka.offsets import Gaps
from app.adapters.kafka.positions import position_of

_AT_ONCE = 2_000
_POLL_MS = 50
_BYTES_AT_ONCE = 16_000_000
_REMEMBERED = 600.0
"""Seconds; compaction may delete what was counted."""
_BYTES_AHEAD = 64_000_000
"""Of one partition; what stands further behind is estimated from what is known."""


class RecordCounts:
    """Reads with a consumer that is assigned the partitions, all of them paused, and nobody else's.

    The consumer reads committed records only, as workers do.
    """

    def __init__(self, consumer: AIOKafkaConsumer, *, ahead: int = 10_000) -> None:
        """Of a partition so many records are counted; what stands behind them is estimated."""
        self._consumer = consumer
        self._ahead = ahead
        self._known: dict[TopicPartition, _Counted] = {}
        self._since = -math.inf

    async def between(
        self, ranges: Mapping[TopicPartition, tuple[int, int]], seconds: float
    ) -> Mapping[TopicPartition, int]:
        """How many records stand in each range, as far as so many seconds allow to tell.

        Raises aiokafka's errors.
        """
        if (now := asyncio.get_running_loop().time()) - self._since > _REMEMBERED:
            self._known, self._since = {}, now
        self._known = {
            name: known
            for name, known in self._known.items()
            if name in ranges and known.goes_on_in(*ranges[name])
        }
        for name, (start, _) in ranges.items():
            self._known.setdefault(name, _Counted(start)).forget_below(start)
        await self._read_on({name: end for name, (_, end) in ranges.items()}, seconds)
        return {name: self._known[name].records_until(end) for name, (_, end) in ranges.items()}

    async def _read_on(self, ends: Mapping[TopicPartition, int], seconds: float) -> None:
        def unread() -> list[TopicPartition]:
            return [
                name
                for name, end in ends.items()
                if (known := self._known[name]).end < end
                and known.records < self._ahead
                and known.bytes_ahead < _BYTES_AHEAD
            ]

        names, left = unread(), _BYTES_AT_ONCE
        if not names:
            return
        for name in names:
            self._consumer.seek(name, self._known[name].end)
        self._consumer.resume(*names)
        until = asyncio.get_running_loop().time() + seconds
        try:
            while names and left > 0 and asyncio.get_running_loop().time() < until:
                read: Records = await self._consumer.getmany(
                    *names, timeout_ms=_POLL_MS, max_records=_AT_ONCE
                )
                for name, batch in read.items():
                    left -= self._known[name].note(
                        [record.offset for record in batch], _size(batch)
                    )
                for name in names:
                    if (position := await position_of(self._consumer, name)) is not None:
                        self._known[name].reach(position)
                names = unread()
        finally:
            self._consumer.pause(*ends)


class _Counted:
    """What is known of one partition from `start` to `end`."""

    def __init__(self, start: int) -> None:
        self._start = start
        self.end = start
        self._gaps = Gaps()
        self._read = 0
        self._bytes = 0

    @property
    def records(self) -> int:
        return self.end - self._start - self._gaps.offsets

    @property
    def bytes_ahead(self) -> int:
        return self.records * self._bytes // max(self._read, 1)

    def goes_on_in(self, start: int, end: int) -> bool:
        """Whether what is known tells of this range, and not of a topic that was made anew."""
        return self._start <= start <= self.end <= end

    def forget_below(self, start: int) -> None:
        self._start = start
        self._gaps.forget_below(start)

    def note(self, offsets: list[int], size: int) -> int:
        """Records that were read on; returns their size."""
        for offset in offsets:
            self.reach(offset)
            self.end = offset + 1
        self._read += len(offsets)
        self._bytes += size
        return size

    def reach(self, position: int) -> None:
        """No other record stands before this offset."""
        if position > self.end:
            self._gaps.add(self.end, position)
            self.end = position

    def records_until(self, end: int) -> int:
        known, offsets = self.records, self.end - self._start
        rest = max(0, end - self.end)
        return known + (rest if not known else -(-rest * known // offsets))


def _size(batch: list[Record]) -> int:
    return sum(len(record.value or b"") for record in batch)
