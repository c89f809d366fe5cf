"""Commits of a group's progress: many completions ride on one, and who must can wait for it."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.offsets import PartitionOffsets

_COMMIT_TIMEOUT = 10.0
_AFTER_A_FAILURE = 0.5

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Partition:
    """A partition from its assignment to its loss; the object itself is the fencing epoch."""

    name: TopicPartition
    offsets: PartitionOffsets
    committed: int | None
    """The position the group last committed, as far as we know."""
    taken_over_at: datetime | None = None
    """When it became ours, where anybody may have had it before."""
    stood_below: int = 0
    """Where it ended by then: what stands below that may have been run, whatever was committed."""
    tried: int = 0
    """The highest position we asked to commit: where the answer was lost, it may be committed."""
    doubted: bool = False
    """Whether it may be another worker's by now; the next commit tells."""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    running: set["asyncio.Task[None]"] = field(default_factory=set)
    waiting: set["asyncio.Task[None]"] = field(default_factory=set)
    """Until it is time for another run."""
    held_bytes: int = 0
    """What the values of its records in hand take."""
    noted: int = 0
    """Counts changes; `durable` is the count the last commit covered."""
    durable: int = 0

    def lag(self, end: int) -> int:
        """How many of its records, up to this end, have not been started."""
        reached = self.offsets.next
        unread = end - (reached if reached is not None else self.committed or 0)
        return max(0, unread) + self.offsets.unfinished - len(self.running)


class Commits:
    """The first change starts a commit; what changes meanwhile rides on the next."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partitions: Mapping[TopicPartition, Partition],
        spacing: float = 0.02,
    ) -> None:
        """`spacing` is the least time between two commits, in seconds."""
        self._consumer = consumer
        self._partitions = partitions
        self._spacing = spacing
        self._due = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._moved = asyncio.Condition()
        self.settled_in: int | None = None
        """The group's generation in which it was last settled what is ours."""

    def note(self, partition: Partition) -> None:
        """Something of this partition changed: commit soon."""
        partition.noted += 1
        self._due.set()

    async def covering(self, partition: Partition) -> None:
        """Return once all that was noted so far is committed, or the partition is lost."""
        version = partition.noted
        async with self._moved:
            await self._moved.wait_for(
                lambda: partition.durable >= version or partition.lost.is_set()
            )

    async def run(self) -> None:
        """Commit as changes come, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            if await self.flush():
                await asyncio.sleep(self._spacing)
            else:
                await asyncio.sleep(_AFTER_A_FAILURE)
                self._due.set()

    async def flush(self, *, handing_over: bool = False) -> bool:
        """Commit now. False: the broker did not take it, the changes stay noted.

        `handing_over` lets whoever gets the partitions know that we did not die of what runs.
        """
        async with self._one_at_a_time:
            changed = {
                each: (each.noted, commit)
                for each in self._partitions.values()
                if (each.noted > each.durable or (handing_over and each.running))
                and (commit := each.offsets.commit(handing_over=handing_over))
            }
            if not changed:
                return True
            if self.settled_in is not None and self.generation > self.settled_in:
                # brokers take it from whoever has joined, and others may have got further
                _log.info("the commit is put off: it is not settled what is ours")
                return False
            positions = {each.name: commit for each, (_, commit) in changed.items()}
            sure = {each for each in changed if each.doubted}
            for each, (_, (position, _)) in changed.items():
                each.tried = max(each.tried, position)
            try:
                async with asyncio.timeout(_COMMIT_TIMEOUT):
                    await self._consumer.commit(positions)
            except (KafkaError, IllegalStateError, TimeoutError) as error:
                _log.info("the commit is put off: %r", error)
                return False
            for each, (noted, (position, _)) in changed.items():
                each.durable, each.committed = noted, position
                each.doubted = each.doubted and each not in sure
        async with self._moved:
            self._moved.notify_all()
        return True

    @property
    def generation(self) -> int:
        """The group's, as of our last joining; aiokafka knows it and tells nobody."""
        return int(self._consumer._coordinator.generation)  # noqa: SLF001

    async def release(self, partition: Partition) -> None:
        """Let nobody wait any longer for a partition that is lost."""
        partition.lost.set()
        async with self._moved:
            self._moved.notify_all()

    async def close(self) -> None:
        """The last word before leaving the group."""
        with contextlib.suppress(asyncio.CancelledError):
            await self.flush(handing_over=True)
