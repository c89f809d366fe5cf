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


def _record(offset: int) -> Record:
    return ConsumerRecord(*NAME, offset, 0, 0, None, b"{}", None, 0, 2, ())


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
