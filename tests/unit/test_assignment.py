"""What moves between workers: nobody says of a partition what he knew before others had it."""

import asyncio
from collections.abc import Collection, Mapping
from types import SimpleNamespace

from aiokafka import TopicPartition

from app.adapters.kafka.assignment import Assignment
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.offsets import Snapshot
from app.adapters.kafka.reader import Reader
from app.adapters.kafka.turns import AtMost

NAME = TopicPartition("crewline.commands.analyst", 0)


class Broker:
    """Keeps the group's commits; whoever has joined may commit, as with Kafka."""

    def __init__(self) -> None:
        self.committed: dict[TopicPartition, tuple[int, str]] = {}
        self.assigned = {NAME}
        self.reads_from: dict[TopicPartition, int] = {}
        self._coordinator = SimpleNamespace(generation=1)

    def joins(self, generation: int) -> None:
        self._coordinator.generation = generation

    async def commit(self, positions: Mapping[TopicPartition, tuple[int, str]]) -> None:
        self.committed.update(positions)

    async def commits(self, names: Collection[TopicPartition]) -> dict[TopicPartition, Snapshot]:
        return {name: Snapshot.decode(*self.committed[name]) for name in names}

    async def end_offsets(self, names: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(names, 100)

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def seek(self, name: TopicPartition, offset: int) -> None:
        assert name in self.assigned
        self.reads_from[name] = offset


class Worker:
    """One that had been given a partition, and has done one record of ten."""

    def __init__(self, broker: Broker) -> None:
        self.partitions: dict[TopicPartition, Partition] = {}
        self.commits = Commits(broker, self.partitions)
        self.assignment = Assignment(
            broker,
            self.partitions,
            self.commits,
            broker.commits,
            lambda *_: None,
            exact_ends=True,
        )

    async def work(self) -> None:
        await self.assignment.on_partitions_assigned([NAME])
        partition = self.partitions[NAME]
        for offset in range(10):
            partition.offsets.accept(offset)
        partition.offsets.start(0)
        partition.offsets.complete(0)
        self.commits.note(partition)


async def test_who_was_left_out_does_not_commit_before_it_is_settled_what_is_his() -> None:
    broker = Broker()
    broker.committed[NAME] = 0, ""
    worker = Worker(broker)
    await worker.work()
    others = Snapshot(50, 60, done=2)
    broker.committed[NAME] = others.position, others.encode()
    broker.joins(3)  # others had generation 2
    assert not await worker.commits.flush()
    await worker.assignment.on_partitions_assigned([NAME])
    assert broker.committed[NAME] == (50, others.encode())
    assert worker.partitions[NAME].offsets.next == 50


async def test_what_came_back_is_committed_when_that_is_settled() -> None:
    broker = Broker()
    broker.committed[NAME] = 0, ""
    worker = Worker(broker)
    await worker.work()
    broker.joins(2)
    assert not await worker.commits.flush()
    await worker.assignment.on_partitions_assigned([NAME])
    assert await worker.commits.flush()
    assert broker.committed[NAME][0] == 1


async def test_reading_begins_where_the_group_was() -> None:
    broker = Broker()
    broker.committed[NAME] = 50, ""
    await Worker(broker).assignment.on_partitions_assigned([NAME])
    assert broker.reads_from == {NAME: 50}


async def test_a_topic_that_comes_in_between_takes_nothing_away() -> None:
    broker = Broker()
    broker.committed[NAME] = 0, ""
    worker = Worker(broker)
    await worker.work()
    ours = worker.partitions[NAME]
    broker.joins(2)
    broker.assigned = set()  # aiokafka forgets what we have as soon as there is a new topic
    await worker.assignment.on_partitions_assigned([NAME])
    broker.joins(3)
    broker.assigned = {NAME}
    await worker.assignment.on_partitions_assigned([NAME])
    assert worker.partitions[NAME] is ours
    assert broker.reads_from == {NAME: 10}


async def test_what_is_read_while_a_partition_is_begun_anew_is_read_again() -> None:
    broker = Broker()
    broker.committed[NAME] = 50, ""
    worker = Worker(broker)
    await worker.assignment.on_partitions_assigned([NAME])

    class Consumer:
        """Gives out records while the group shares its partitions anew: it is past them then."""

        def assignment(self) -> set[TopicPartition]:
            return {NAME}

        def paused(self) -> set[TopicPartition]:
            return set()

        async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[object]]:
            await worker.assignment.on_partitions_revoked([NAME])
            worker.partitions.clear()
            await worker.assignment.on_partitions_assigned([NAME])
            broker.reads_from[NAME] = 53
            return {NAME: [object(), object(), object()]}

        async def position(self, _: TopicPartition) -> int:
            return broker.reads_from[NAME]

    taken: list[object] = []

    async def take(records: Mapping[TopicPartition, list[object]]) -> None:
        taken.extend(records)

    reader = Reader(Consumer(), worker.partitions, worker.assignment, worker.commits, window=1_000)
    await reader.poll(AtMost(10), asyncio.Event(), take)
    assert taken == []
    assert broker.reads_from == {NAME: 50}
    assert worker.partitions[NAME].offsets.next == 50, "nothing was passed over"
