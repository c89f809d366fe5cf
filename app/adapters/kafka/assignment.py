"""Which partitions are ours: what to keep, what to stop and where to go on when that changes.

aiokafka rebalances eagerly: everything is revoked, then assigned anew. What comes back just goes
on; only what moved to another worker is stopped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.offsets import PartitionOffsets, Snapshot
from app.ports.task_queue import Ownership

ReadCommits = Callable[[Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, Snapshot]]]
"""What the group last committed of these partitions."""
_PAUSE = 0.2
_NOBODY_BETWEEN = 1
"""Generations of a group from one of our assignments to the next, where nobody had one of his."""
_log = logging.getLogger(__name__)


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partitions: dict[TopicPartition, Partition],
        commits: Commits,
        commits_of_group: ReadCommits,
        lose: Callable[[Partition, bool], None],
        *,
        exact_ends: bool,
        ownership: Ownership | None = None,
    ) -> None:
        """`lose` forgets a partition that is no longer ours; whether what runs of it goes on, it
        is told.

        `exact_ends` tells whether the broker's end offsets can be relied on; Tansu's cannot.
        """
        self._consumer = consumer
        self._partitions = partitions
        self._commits = commits
        self._commits_of_group = commits_of_group
        self._lose = lose
        self._exact_ends = exact_ends
        self._ownership = ownership
        self.unchanged = asyncio.Lock()
        """Held while the partitions change."""

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Say how far we are, for whoever gets them; what runs goes on meanwhile."""
        if revoked:
            if self._ownership:
                await self._ownership.handing_over()
            await self._commits.flush(handing_over=True)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Keep what came back, let go of what moved, begin what is new."""
        async with self.unchanged:
            finish = self._ownership is not None and self._ownership.may_finish
            generation = self._commits.generation
            kept = set() if self._was_left_out(generation) else set(assigned)
            for name in self._partitions.keys() - kept:
                await self._let_go(name, finish=finish)
            commits, ends = await self._look_up(assigned)
            for name in assigned:
                partition, commit = self._partitions.get(name), commits.get(name)
                if (
                    partition
                    and commit
                    and commit.position > max(partition.committed or 0, partition.tried)
                ):
                    # somebody else went on with it while we were out of the group
                    await self._let_go(name, finish=finish)
                    partition = None
                if partition is None:
                    partition = self._partitions[name] = self._begin(name, commit, ends[name])
                following = partition.offsets.next
                if following is not None and name in self._consumer.assignment():
                    self._consumer.seek(name, following)
            self._commits.settled_in = generation
        if self._ownership:
            self._ownership.taken_over()

    async def seek_back(self) -> None:
        """Read on behind what was taken: a poll that fails forgets what it had read of others."""
        async with self.unchanged:
            await self.seek_behind_taken(self._partitions)

    async def seek_behind_taken(self, names: Iterable[TopicPartition]) -> None:
        """Read these on behind what was taken of them, as long as they are `unchanged`."""
        for name in self._consumer.assignment() & self._partitions.keys() & set(names):
            following = self._partitions[name].offsets.next
            with suppress(IllegalStateError, KafkaError):  # revoked meanwhile
                if following is not None:
                    self._consumer.seek(name, following)
                else:
                    await self._consumer.seek_to_beginning(name)

    async def check(self, partition: Partition) -> Partition:
        """The state to go on with when a partition delivers records below its position.

        The same one, unless the partition now ends below it: then its topic was deleted and made
        again, and all in it is new.
        """
        name, position = partition.name, partition.committed or 0
        try:
            ends = await self._consumer.end_offsets([name])
        except KafkaError as error:
            _log.warning("the end of %s cannot be read now: %r", name, error)
            return partition
        if not self._exact_ends or ends[name] >= position:
            return partition
        _log.warning("%s was made anew: it is read from its start", name)
        await self._let_go(name)
        self._partitions[name] = Partition(
            name, PartitionOffsets(None, end=0), None, datetime.now(UTC), stood_below=ends[name]
        )
        return self._partitions[name]

    def _begin(self, name: TopicPartition, commit: Snapshot | None, end: int) -> Partition:
        if commit and self._exact_ends and commit.position > end:
            commit = None  # of a topic that was deleted and made again
        position = commit.position if commit else None
        since = datetime.now(UTC) if commit or end else None  # else nobody had it before
        return Partition(name, PartitionOffsets(commit, end), position, since, stood_below=end)

    async def _let_go(self, name: TopicPartition, *, finish: bool = False) -> None:
        partition = self._partitions.pop(name)
        await self._commits.release(partition)
        self._lose(partition, finish)

    def _was_left_out(self, generation: int) -> bool:
        """Whether others may have had our partitions since we were last given some."""
        before = self._commits.settled_in
        return before is not None and generation - before > _NOBODY_BETWEEN

    async def _look_up(
        self, assigned: Collection[TopicPartition]
    ) -> tuple[Mapping[TopicPartition, Snapshot], Mapping[TopicPartition, int]]:
        while True:
            try:
                commits = await self._commits_of_group(assigned) if assigned else {}
                ends = await self._consumer.end_offsets(list(assigned)) if assigned else {}
            except KafkaError as error:
                _log.warning("the group's offsets cannot be read yet: %r", error)
                await asyncio.sleep(_PAUSE)
            else:
                return commits, ends
