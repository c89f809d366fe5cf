"""Every command, result and trace of the log in memory, from the stored offsets on."""

from collections.abc import AsyncIterator

from app.adapters.memory.event_log import MemoryEventLog
from app.ports.event_log import Batch, EventFeed, Offsets, Recorded, Shard, StoredOffsets

_AT_ONCE = 2_000


class MemoryEventFeed(EventFeed):
    """A group of one member: it is given all shards, whoever else reads."""

    def __init__(self, log: MemoryEventLog, *, at_once: int = _AT_ONCE) -> None:
        self._log = log
        self._at_once = at_once
        self._position: dict[Shard, int] = {}
        self._rewound = True

    async def batches(self, stored: StoredOffsets) -> AsyncIterator[Batch]:
        self._rewound = True
        while True:
            if self._rewound:
                self._rewound = False
                self._position = dict(await stored.offsets())
            records = self._next()
            if not records:
                await self._log.until(lambda: self._rewound or self._behind())
                continue
            after = {record.shard: record.offset + 1 for record in records}
            before = {shard: self._position.get(shard, 0) for shard in after}
            self._position |= after
            yield Batch(records, before, after)

    async def rewind(self) -> None:
        self._rewound = True
        await self._log.wake()

    async def ends(self) -> Offsets:
        return self._log.ends()

    async def starts(self) -> Offsets:
        return dict.fromkeys(self._log.ends(), 0)

    def _behind(self) -> bool:
        return any(end > self._position.get(shard, 0) for shard, end in self._log.ends().items())

    def _next(self) -> list[Recorded]:
        records: list[Recorded] = []
        for shard in self._log.ends():
            room = self._at_once - len(records)
            records += self._log.records(shard, self._position.get(shard, 0), room)
        return records
