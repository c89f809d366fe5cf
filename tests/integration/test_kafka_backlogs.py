"""Backlogs on Kafka keep what backlogs promise, whatever the broker does."""

from collections.abc import AsyncIterator

import pytest

from app.adapters.kafka.backlogs import KafkaBacklogs, depth_of
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.offsets import Snapshot
from app.adapters.kafka.provisioning import apply, plan
from app.adapters.kafka.topics import Topics
from app.ports.backlogs import Backlogs, Depth
from app.ports.event_log import LogUnavailable
from tests.contracts.backlogs import BacklogsContract
from tests.contracts.task_queue import Tasks
from tests.integration.test_kafka_task_queue import OnKafka, tasks_on_kafka
from tests.waiting import until_true

__all__ = ["tasks_on_kafka"]


@pytest.mark.kafka
class TestKafkaBacklogs(BacklogsContract):
    @pytest.fixture
    def tasks(self, tasks_on_kafka: OnKafka) -> Tasks:
        return tasks_on_kafka

    @pytest.fixture
    async def backlogs(self, tasks_on_kafka: OnKafka) -> AsyncIterator[Backlogs]:
        topics = tasks_on_kafka.topics
        connection, group = tasks_on_kafka.connection, f"{topics.prefix}.workers"
        async with KafkaBacklogs(connection, topics, group) as early:
            # a new broker makes its topic of commits when it is first asked for one
            await until_true(lambda: can_be_told(early), within=30)
        async with KafkaBacklogs(connection, topics, group) as backlogs:
            yield backlogs

    async def test_many_agents_are_looked_at_in_time(
        self, tasks_on_kafka: OnKafka, backlogs: Backlogs
    ) -> None:
        connection, topics = tasks_on_kafka.connection, tasks_on_kafka.topics
        agents = [(f"agent-{number}", ["rules", "crewai"]) for number in range(20)]
        await apply(connection, await plan(connection, topics, agents))
        assert {name for name, _ in agents} <= (await backlogs.look()).keys()


async def can_be_told(backlogs: Backlogs) -> bool:
    try:
        await backlogs.look()
    except LogUnavailable:
        return False
    return True


async def test_a_broker_that_is_away_is_said() -> None:
    nobody = KafkaConnection("127.0.0.1:1")
    async with KafkaBacklogs(nobody, Topics(), "crewline.workers") as backlogs:
        for _ in range(2):
            with pytest.raises(LogUnavailable):
                await backlogs.look()


@pytest.mark.parametrize(
    ("commit", "start", "end", "depth"),
    [
        (None, 0, 5, Depth(5, 0)),
        (None, 3, 5, Depth(2, 3)),  # three were deleted for their age
        (Snapshot(2, seen=2), 0, 5, Depth(3, 2)),
        (Snapshot(2, seen=6, done=0b1010), 0, 6, Depth(2, 4)),
        (Snapshot(2, seen=6, done=0b1010), 4, 6, Depth(1, 5)),
        (Snapshot(9, seen=9), 0, 5, Depth(5, 0)),  # the topic was made anew
    ],
)
def test_what_is_done_ahead_of_the_position_does_not_wait(
    commit: Snapshot | None, start: int, end: int, depth: Depth
) -> None:
    assert depth_of(commit, start, end) == depth
