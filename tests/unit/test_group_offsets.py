"""What a group has committed is known, or asked again: never taken for nothing."""

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.commit import OffsetFetchResponse_v3

from app.adapters.kafka.group_offsets import GroupOffsets
from app.adapters.kafka.offsets import Snapshot

TOPIC = "crewline.commands.analyst"
NOT_COORDINATOR = 16


class Admin(AIOKafkaAdminClient):  # type: ignore[misc]  # aiokafka is untyped
    """Has one answer of a broker."""

    def __init__(self, answer: OffsetFetchResponse_v3) -> None:
        self.answer = answer

    async def find_coordinator(self, group_id: str, coordinator_type: int = 0) -> int:
        return 1

    async def _send_request(self, *_: object) -> OffsetFetchResponse_v3:
        return self.answer


async def test_a_partition_without_a_commit_is_left_out() -> None:
    answer = OffsetFetchResponse_v3(0, [(TOPIC, [(0, 7, "", 0), (1, -1, "", 0)])], 0)
    asked = [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)]
    told = await GroupOffsets(Admin(answer), "workers")(asked)
    assert told == {TopicPartition(TOPIC, 0): Snapshot(7, seen=7)}


async def test_a_broker_that_is_no_longer_the_coordinator_knows_nothing() -> None:
    answer = OffsetFetchResponse_v3(0, [], NOT_COORDINATOR)
    with pytest.raises(KafkaError):
        await GroupOffsets(Admin(answer), "workers")([TopicPartition(TOPIC, 0)])
