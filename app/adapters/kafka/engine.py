"""Many records at once, each acknowledged by itself.

Always polls, so a long task never trips `max.poll.interval.ms`; pauses partitions when full; keeps
order within a key only; commits a record when its handler has returned, and not before.
"""

import asyncio
from collections import defaultdict

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.adapters.kafka.assignment import Assignment, ReadCommits
from app.adapters.kafka.claims import FIRST_COME, Claim, Handler, Hold, Limits, Precedence, Records
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.reader import Reader
from app.adapters.kafka.runner import Runner
from app.domain.model.fleet import Share
from app.ports.task_queue import Deleted, Ownership

__all__ = ["Claim", "Engine", "Handler", "Limits"]


class Engine:
    """Runs a handler for each record of a started consumer's subscription."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        commits_of_group: ReadCommits,
        limits: Limits,
        *,
        exact_ends: bool = True,
        hold: Hold | None = None,
        precedence: Precedence = FIRST_COME,
        ownership: Ownership | None = None,
    ) -> None:
        """`hold` says of a record that was read for how long it shall not run yet."""
        self._consumer = consumer
        self._partitions: dict[TopicPartition, Partition] = {}
        self._commits = Commits(consumer, self._partitions)
        self._runner = Runner(self._partitions, self._commits, limits, hold, precedence)
        self.assignment = Assignment(
            consumer,
            self._partitions,
            self._commits,
            commits_of_group,
            self._runner.lose,
            exact_ends=exact_ends,
            ownership=ownership,
        )
        self._reader = Reader(
            consumer, self._partitions, self.assignment, self._commits, limits.window
        )
        self._ended = asyncio.Event()

    async def run(self, handler: Handler) -> None:
        """Work until `stop` is done; raise what ends the polling for good, and stop what runs."""
        self._runner.begin(handler)
        loops = [
            asyncio.create_task(self._poll(), name="poll"),
            asyncio.create_task(self._commits.run(), name="commit"),
            asyncio.create_task(self._ended.wait(), name="ended"),
        ]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for loop in done:
                loop.result()
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._runner.cancel()
            for partition in self._partitions.values():
                for waiting in list(partition.waiting):
                    waiting.cancel()

    async def stop(self, grace: float) -> None:
        """Take nothing new, let what runs finish for `grace` seconds, cancel the rest, commit."""
        await self._runner.drain(grace)
        await self._commits.close()
        self._ended.set()

    def hurry(self, key: bytes) -> None:
        """Ask `hold` now about what it holds under this key."""
        self._runner.hurry(key)

    async def shares(self) -> list[Share]:
        """What is ours of each topic, and how much of it has not been started."""
        names = list(self._partitions)
        ends = await self._consumer.end_offsets(names) if names else {}
        oldest = self._runner.oldest_waiting()
        ours: defaultdict[str, list[TopicPartition]] = defaultdict(list)
        for name in ends.keys() & self._partitions.keys():
            ours[name.topic].append(name)
        return [
            Share(
                topic=topic,
                partitions=tuple(sorted(name.partition for name in owned)),
                lag=sum(self._partitions[name].lag(ends[name]) for name in owned),
                oldest_waiting_at=oldest.get(topic),
            )
            for topic, owned in sorted(ours.items())
        ]

    async def deleted(self) -> list[Deleted]:
        """What is ours and does not begin at its first record.

        What the consumer has fetched is still to be handed out, though it was deleted since.
        """
        names = list(self._partitions)
        starts = await self._consumer.beginning_offsets(names) if names else {}
        return [
            Deleted(
                name.topic,
                name.partition,
                min(starts[name], partition.offsets.next or 0),
                partition.offsets.in_hand,
                partition.taken_over_at,
            )
            for name, partition in self._partitions.items()
            if starts.get(name)
        ]

    def healthy(self, within: float = 30.0) -> bool:
        """Whether the last poll is no older than `within` seconds."""
        return self._reader.polled_within(within)

    async def _poll(self) -> None:
        while True:
            self._runner.has_room.clear()
            await self._reader.poll(self._runner.room, self._runner.has_room, self._take)
            self._runner.dispatch()

    async def _take(self, records: Records) -> None:
        for name, batch in records.items():
            partition = self._partitions.get(name)
            if partition is None:
                continue
            if partition.offsets.went_back(batch[0].offset):
                partition = await self.assignment.check(partition)
            for record in batch:
                if partition.offsets.accept(record.offset):
                    self._runner.add(record, partition)
                else:
                    self._commits.note(partition)
