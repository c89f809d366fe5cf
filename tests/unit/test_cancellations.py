"""Who waits for a cancel is told of it, and nobody is remembered who waits no longer."""

import asyncio
import gc
import weakref

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from app.adapters.kafka.claims import Claim, Limits
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.offsets import PartitionOffsets
from app.adapters.kafka.runner import Runner
from app.domain.model.commands import CancelTask, Earlier
from app.domain.use_cases.cancellations import Cancellations
from app.ports.task_queue import Again
from tests.builders import at, canceling, task_id
from tests.waiting import until

NAME = TopicPartition("crewline.commands.analyst", 0)


class Broker:
    """Is never asked to commit."""


def test_who_waits_is_told_and_so_is_who_asks_again() -> None:
    cancellations = Cancellations()
    first = cancellations.awaited(task_id())
    assert not first.is_set()
    cancellations.note(canceling())
    assert first.is_set()
    assert cancellations.awaited(task_id()).is_set()


def test_who_waits_in_a_later_life_of_a_task_does_not_hear_of_the_former_one() -> None:
    cancellations = Cancellations()
    former = cancellations.awaited(task_id())
    cancellations.note(canceling(after=1))
    cancellations.outlived(task_id(), at(2))
    later = cancellations.awaited(task_id())
    assert former.is_set()
    assert not later.is_set()
    cancellations.note(canceling(after=3))
    assert later.is_set()


@pytest.mark.parametrize("before", [[], [canceling(after=1)]])
def test_a_cancel_of_a_former_life_that_is_heard_late_stops_nothing(
    before: list[CancelTask],
) -> None:
    cancellations = Cancellations()
    for cancel in before:
        cancellations.note(cancel)
    redriven = cancellations.awaited(task_id(), Earlier(attempts=1, redrives=1, redriven_at=at(2)))
    cancellations.note(canceling(after=1))
    assert not redriven.is_set()
    cancellations.note(canceling(after=3))
    assert redriven.is_set()


async def test_a_task_that_waits_for_its_next_run_and_is_lost_leaves_nothing_behind() -> None:
    cancellations, waits = Cancellations(), []
    partition = Partition(NAME, PartitionOffsets(None, end=0), committed=None)
    partitions = {NAME: partition}
    commits = Commits(Broker(), partitions)
    runner = Runner(partitions, commits, Limits())

    async def fail(_: Claim) -> None:
        sooner = cancellations.awaited(task_id())
        waits.append(weakref.ref(sooner))
        raise Again(600, sooner)

    runner.begin(fail)
    partition.offsets.accept(0)
    runner.add(ConsumerRecord(*NAME, 0, 0, 0, None, b"{}", None, 0, 2, ()), partition)
    runner.dispatch()
    await until(lambda: bool(partition.waiting))
    assert waits[0]() is not None
    await commits.release(partition)
    runner.lose(partition, finish=False)
    await asyncio.wait_for(asyncio.gather(*partition.waiting, return_exceptions=True), 5)
    await until(lambda: not partition.waiting)
    gc.collect()
    assert waits[0]() is None
