"""Topics are made as they should be, twice without harm, and never smaller."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app.adapters.kafka import provisioning
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.provisioning import AddPartitions, Change, TopicNameTaken, apply, plan
from app.adapters.kafka.topics import Topics
from app.ports.event_log import LogUnavailable
from tests.integration.on_kafka import OnKafka, OnTheEmbeddedBroker

AGENTS = [("business-analyst", ["rules", "crewai"]), ("writer", [])]


def lines(changes: list[Change], topics: Topics) -> list[str]:
    return [str(change).replace(topics.prefix, "PREFIX") for change in changes]


async def planned(connection: KafkaConnection, topics: Topics, wanted: list[str]) -> list[Change]:
    """The plan, once the broker has heard of changed settings from its controller."""
    async with asyncio.timeout(10):
        while lines(changes := await plan(connection, topics, []), topics) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return changes


class Provisioning:
    async def test_every_topic_is_made_once(
        self, connection: KafkaConnection, topic_prefix: str
    ) -> None:
        topics = Topics(topic_prefix)
        changes = await plan(connection, topics, AGENTS)
        assert [line.split(",")[0] for line in lines(changes, topics)] == [
            "create PREFIX.commands.business-analyst: 3 partitions",
            "create PREFIX.urgent.business-analyst: 1 partitions",
            "create PREFIX.commands.business-analyst.rules: 3 partitions",
            "create PREFIX.urgent.business-analyst.rules: 1 partitions",
            "create PREFIX.commands.business-analyst.crewai: 3 partitions",
            "create PREFIX.urgent.business-analyst.crewai: 1 partitions",
            "create PREFIX.commands.writer: 3 partitions",
            "create PREFIX.urgent.writer: 1 partitions",
            "create PREFIX.control: 1 partitions",
            "create PREFIX.results: 6 partitions",
            "create PREFIX.traces: 6 partitions",
            "create PREFIX.workers: 1 partitions",
            "create PREFIX.retries: 3 partitions",
            "create PREFIX.dead-letters: 3 partitions",
        ]
        await apply(connection, changes)
        await apply(connection, changes)
        assert await plan(connection, topics, AGENTS) == []


class TestOnKafka(OnKafka, Provisioning):
    async def test_a_prefix_that_kafka_takes_for_another_one_is_refused(
        self, connection: KafkaConnection, topic_prefix: str
    ) -> None:
        await apply(connection, await plan(connection, Topics(f"{topic_prefix}.a_b"), AGENTS))
        with pytest.raises(TopicNameTaken, match=f"beside {topic_prefix}.a_b.commands"):
            await plan(connection, Topics(f"{topic_prefix}.a.b"), AGENTS)

    async def test_partitions_are_added_and_never_taken_away(
        self, connection: KafkaConnection, topic_prefix: str
    ) -> None:
        small = Topics(topic_prefix, command_partitions=2, event_partitions=3)
        await apply(connection, await plan(connection, small, []))
        large = Topics(topic_prefix, command_partitions=2, event_partitions=4)
        changes = await plan(connection, large, [])
        assert "change PREFIX.results: partitions 3 -> 4" in lines(changes, large)
        await apply(connection, changes)
        assert await plan(connection, large, []) == []
        assert await plan(connection, small, []) == []

    async def test_partitions_that_are_refused_are_said(
        self, connection: KafkaConnection, topic_prefix: str
    ) -> None:
        topics = Topics(topic_prefix, event_partitions=3)
        await apply(connection, await plan(connection, topics, []))
        with pytest.raises(LogUnavailable, match="InvalidPartitions"):
            await apply(connection, [AddPartitions(topics.results, 3, 2)])

    async def test_brokers_that_are_slow_to_show_a_topic_are_not_said_to_be_away(
        self,
        connection: KafkaConnection,
        topic_prefix: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        changes = await plan(connection, Topics(topic_prefix), [])
        monkeypatch.setattr(provisioning, "_PATIENCE", 0)
        with pytest.raises(LogUnavailable, match="does not show them all after 0 s"):
            await apply(connection, changes)

    async def test_settings_are_put_right_and_foreign_ones_stay(
        self, connection: KafkaConnection, topic_prefix: str
    ) -> None:
        topics = Topics(topic_prefix)
        await apply(connection, await plan(connection, topics, []))
        admin = AIOKafkaAdminClient(**connection.admin_settings())
        await admin.start()
        by_hand = {"retention.ms": "1000", "segment.ms": "3600000", "cleanup.policy": "delete"}
        resource = ConfigResource(ConfigResourceType.TOPIC, topics.results, by_hand)
        await admin.alter_configs([resource])
        line = "change PREFIX.results: retention.ms 1000 -> 7776000000"
        await apply(connection, await planned(connection, topics, [line]))
        await planned(connection, topics, [])
        [answer] = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topics.results, {"segment.ms": None})]
        )
        await admin.close()
        [(_, _, _, _, [(name, value, *_)])] = answer.resources
        assert (name, value) == ("segment.ms", "3600000")

    async def test_a_plan_can_ask_for_replicas(
        self, connection: KafkaConnection, topic_prefix: str
    ) -> None:
        changes = await plan(connection, Topics(topic_prefix), [], replication_factor=3)
        assert all("3 replicas" in str(change) for change in changes)
        assert all("min.insync.replicas=2" in str(change) for change in changes)


class TestOnTheEmbeddedBroker(OnTheEmbeddedBroker, Provisioning):
    pass


async def test_without_a_broker_it_says_so() -> None:
    with pytest.raises(LogUnavailable):
        await plan(KafkaConnection("127.0.0.1:1"), Topics(), [])
