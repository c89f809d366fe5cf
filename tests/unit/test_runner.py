"""What a worker has in hand, and what it makes sure of before it begins."""

import sys
import time

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from app.adapters.kafka.claims import Limits
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.offsets import PartitionOffsets
from app.adapters.kafka.runner import Runner

NAME = TopicPartition("crewline.commands.analyst", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no clock runs while machines sleep")
def test_whether_a_partition_is_still_ours_is_asked_when_the_machine_has_slept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    partition = Partition(NAME, PartitionOffsets(None, end=0), committed=None)
    partitions = {NAME: partition}
    runner = Runner(partitions, Commits(None, partitions), Limits())
    runner.dispatch()
    assert not partition.doubted
    woken = time.clock_gettime(time.CLOCK_BOOTTIME) + 60
    monkeypatch.setattr(time, "clock_gettime", lambda _: woken)  # the monotonic clock stood still
    runner.dispatch()
    assert partition.doubted


async def test_since_when_records_wait_is_told_whatever_time_a_producer_gave_them() -> None:
    partition = Partition(NAME, PartitionOffsets(None, end=0), committed=None)
    partitions = {NAME: partition}
    runner = Runner(partitions, Commits(None, partitions), Limits())
    partition.offsets.accept(0)
    runner.add(ConsumerRecord(*NAME, 0, 2**62, 0, None, b"{}", None, 0, 2, ()), partition)
    assert list(runner.oldest_waiting()) == [NAME.topic]
