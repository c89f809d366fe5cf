"""What was interrupted twice runs beside no other such record, and keeps no slot while it waits."""

import asyncio
from collections.abc import Mapping

from aiokafka import ConsumerRecord, TopicPartition

from app.adapters.kafka.claims import Claim, Limits, Record
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.offsets import PartitionOffsets, Snapshot, Tries
from app.adapters.kafka.runner import Runner
from app.ports.task_queue import Again
from tests.waiting import until

NAME = TopicPartition("crewline.commands.analyst", 0)
TWICE = Tries(starts=2, interrupted=2)


class Broker:
    """Takes every commit."""

    async def commit(self, positions: Mapping[TopicPartition, object]) -> None: ...


class AtWork:
    """A runner with two slots, whose records 0 to 3 were interrupted twice, and 4 to 9 never."""

    def __init__(self) -> None:
        restored = Snapshot(0, 4, running=dict.fromkeys(range(4), TWICE))
        self.partition = Partition(NAME, PartitionOffsets(restored, end=4), committed=0)
        partitions = {NAME: self.partition}
        self.commits = Commits(Broker(), partitions)
        self.runner = Runner(partitions, self.commits, Limits(slots=2))
        self.begun: list[int] = []
        self.go_on = asyncio.Event()
        self.runner.begin(self._handle)

    async def _handle(self, claim: Claim) -> None:
        offset = claim.record.offset
        self.begun.append(offset)
        if offset == 0 and claim.tries.starts == 3:
            await self.go_on.wait()
            raise Again(0)

    def read(self) -> None:
        for offset in range(10):
            assert self.partition.offsets.accept(offset)
            self.runner.add(_record(offset), self.partition)
        self.runner.dispatch()


def _record(offset: int, name: TopicPartition = NAME) -> Record:
    return ConsumerRecord(*name, offset, 0, 0, None, b"{}", None, 0, 2, ())


async def test_suspects_that_wait_for_one_another_leave_the_slots_to_others() -> None:
    at_work = AtWork()
    committing = asyncio.create_task(at_work.commits.run())
    try:
        at_work.read()
        await until(lambda: set(at_work.begun) == {0, *range(4, 10)})
        at_work.go_on.set()
        await until(lambda: at_work.partition.offsets.unfinished == 0)
    finally:
        committing.cancel()
    assert sorted(at_work.begun) == [0, *range(10)]
    assert at_work.begun[-4:] == [1, 2, 3, 0]


async def test_a_suspect_that_was_lost_is_not_waited_for() -> None:
    at_work = AtWork()
    committing = asyncio.create_task(at_work.commits.run())
    try:
        at_work.read()
        await until(lambda: 0 in at_work.begun)
        at_work.runner.lose(at_work.partition, finish=False)
        await at_work.commits.release(at_work.partition)
        await until(lambda: not at_work.partition.running)
    finally:
        committing.cancel()
    assert not {1, 2, 3} & set(at_work.begun)


async def test_a_suspect_that_is_lost_before_its_turn_keeps_no_other_waiting() -> None:
    elsewhere = TopicPartition(NAME.topic, 1)
    suspects = Snapshot(0, 4, running=dict.fromkeys((0, 2), TWICE))
    kept = Partition(NAME, PartitionOffsets(suspects, end=4), committed=0)
    lost = Partition(elsewhere, PartitionOffsets(suspects, end=4), committed=0)
    partitions = {NAME: kept, elsewhere: lost}
    commits = Commits(Broker(), partitions)
    runner = Runner(partitions, commits, Limits(slots=2))
    running: dict[tuple[TopicPartition, int], asyncio.Event] = {}

    async def work(claim: Claim) -> None:
        done = running[claim.partition.name, claim.record.offset] = asyncio.Event()
        await done.wait()

    def read(partition: Partition, offset: int) -> None:
        assert partition.offsets.accept(offset)
        runner.add(_record(offset, partition.name), partition)
        runner.dispatch()

    runner.begin(work)
    committing = asyncio.create_task(commits.run())
    try:
        for partition, offset in ((kept, 0), (lost, 0), (kept, 2), (kept, 3), (kept, 4)):
            read(partition, offset)
        await until(lambda: {*running} == {(NAME, 0), (NAME, 3)})
        running[NAME, 0].set()  # the next suspect's turn comes behind what waits for the slot
        await until(lambda: (NAME, 4) in running)
        await commits.release(lost)
        runner.lose(lost, finish=False)
        running[NAME, 4].set()
        await until(lambda: (NAME, 2) in running)
        assert (elsewhere, 0) not in running
        running[NAME, 3].set()
        running[NAME, 2].set()
        await until(lambda: kept.offsets.unfinished == 0)
    finally:
        committing.cancel()
