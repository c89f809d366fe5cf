"""What a worker has in hand, and what it makes sure of before it begins."""

import asyncio
import sys
import time

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from app.adapters.kafka import runner as module
from app.adapters.kafka.claims import Claim, Limits, Record
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
    runner.add(_record(at=2**62), partition)
    assert list(runner.oldest_waiting()) == [NAME.topic]


async def test_a_handler_that_stops_when_it_is_told_again_has_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_UNTIL_CANCELED", (0.01, 30.0))
    partition = Partition(NAME, PartitionOffsets(None, end=0), committed=None)
    partitions = {NAME: partition}
    runner = Runner(partitions, Commits(None, partitions), Limits())

    async def work(_: Claim) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    runner.begin(work)
    partition.offsets.accept(0)
    runner.add(_record(at=0), partition)
    runner.dispatch()
    await asyncio.sleep(0)
    await runner.cancel()
    assert not partition.running
    assert not caplog.records


def _record(at: int) -> Record:
    return ConsumerRecord(*NAME, 0, at, 0, None, b"{}", None, 0, 2, ())
