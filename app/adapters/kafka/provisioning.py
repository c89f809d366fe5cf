"""Makes the topics as they should be. It only ever adds: nothing is deleted or made smaller."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.topics import Topics, TopicSpec
from app.domain.model.errors import Rejected
from app.ports.event_log import LogUnavailable

_SET_ON_THE_TOPIC = 1
"""Where Kafka says a setting comes from; everything else is a default of the broker."""

_PATIENCE = 30.0
_PAUSE = 0.05


class TopicNameTaken(Rejected):
    """A topic of ours has the name of another one, but for `.` and `_`."""

    code = "topic-name-taken"


@dataclass(frozen=True, slots=True)
class CreateTopic:
    spec: TopicSpec
    replication_factor: int

    def __str__(self) -> str:
        replicas = (
            "1 replica" if self.replication_factor == 1 else f"{self.replication_factor} replicas"
        )
        settings = ", ".join(f"{name}={value}" for name, value in self.spec.settings.items())
        return f"create {self.spec.name}: {self.spec.partitions} partitions, {replicas}, {settings}"


@dataclass(frozen=True, slots=True)
class AddPartitions:
    topic: str
    present: int
    wanted: int

    def __str__(self) -> str:
        return f"change {self.topic}: partitions {self.present} -> {self.wanted}"


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    topic: str
    changed: Mapping[str, tuple[str | None, str]]
    """For each setting, what it is now and what it should be."""
    kept: Mapping[str, str] = field(repr=False)
    """What else is set on the topic: Kafka would forget what is not said again."""

    def __str__(self) -> str:
        changes = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in self.changed.items())
        return f"change {self.topic}: {changes}"


Change = CreateTopic | AddPartitions | ChangeSettings


async def plan(
    connection: KafkaConnection,
    topics: Topics,
    agents: Iterable[tuple[str, Iterable[str]]],
    *,
    replication_factor: int | None = None,
) -> list[Change]:
    """What would have to change. Each agent comes with its runtimes that get topics of their own.

    Without a replication factor it is 3, or 1 where the cluster has fewer than three brokers.
    The embedded broker changes nothing once made, so there topics are only created.
    """
    async with _admin(connection) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        replicas = replication_factor or (3 if brokers >= 3 else 1)
        wanted = [_completed(spec, connection, topics, replicas) for spec in topics.all(agents)]
        existing = set(await admin.list_topics())
        _refuse_clashes(wanted, existing)
        changes: list[Change] = [
            CreateTopic(spec, replicas) for spec in wanted if spec.name not in existing
        ]
        present = [spec for spec in wanted if spec.name in existing]
        if present and not connection.embedded:
            changes += await _partition_changes(admin, present)
            changes += await _setting_changes(admin, present)
        return changes


async def apply(connection: KafkaConnection, changes: Iterable[Change]) -> None:
    """Carry out a plan. To do it twice, or from two places at once, does no harm."""
    changes = list(changes)
    async with _admin(connection) as admin:
        if created := [change for change in changes if isinstance(change, CreateTopic)]:
            await _create(admin, created)
        if grown := [change for change in changes if isinstance(change, AddPartitions)]:
            await admin.create_partitions(
                {change.topic: NewPartitions(change.wanted) for change in grown}
            )
        if changed := [change for change in changes if isinstance(change, ChangeSettings)]:
            await _change_settings(admin, changed)
        wanted = {change.spec.name: change.spec.partitions for change in created}
        wanted |= {change.topic: change.wanted for change in grown}
        await _until_seen(admin, wanted)


def _refuse_clashes(wanted: Iterable[TopicSpec], existing: Collection[str]) -> None:
    """Raise where another installation's topic has the name of one of ours, as Kafka sees it."""
    taken = {name.replace(".", "_"): name for name in existing}
    for spec in wanted:
        other = taken.get(spec.name.replace(".", "_"), spec.name)
        if other != spec.name and spec.name not in existing:
            raise TopicNameTaken(
                f"the topic {spec.name} cannot be made beside {other}: Kafka counts `.` and `_` as "
                "one; choose another CREWLINE_KAFKA__PREFIX"
            )


def _completed(
    spec: TopicSpec, connection: KafkaConnection, topics: Topics, replicas: int
) -> TopicSpec:
    settings = dict(spec.settings)
    if replicas > 2:
        settings["min.insync.replicas"] = "2"
    if spec.name == topics.dead_letters:
        settings["max.message.bytes"] = str(connection.dead_letter_max_message_bytes)
    elif (largest := connection.topic_max_message_bytes) is not None:
        settings["max.message.bytes"] = str(largest)
    return TopicSpec(spec.name, spec.partitions, settings)


async def _partition_changes(
    admin: AIOKafkaAdminClient, specs: list[TopicSpec]
) -> list[AddPartitions]:
    present = await _partitions(admin, [spec.name for spec in specs])
    return [
        AddPartitions(spec.name, present[spec.name], spec.partitions)
        for spec in specs
        if 0 < present[spec.name] < spec.partitions
    ]


async def _partitions(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """How many partitions each topic has that are led by a broker."""
    described = await admin.describe_topics(list(names))
    return {
        topic["topic"]: sum(partition["leader"] >= 0 for partition in topic["partitions"])
        for topic in described
    }


async def _until_seen(admin: AIOKafkaAdminClient, wanted: Mapping[str, int]) -> None:
    """Wait for the brokers to hear of what their controller has made."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while wanted:
                if wanted.keys() <= set(await admin.list_topics()):
                    present = await _partitions(admin, wanted)
                    if all(present.get(name, 0) >= number for name, number in wanted.items()):
                        return
                await asyncio.sleep(_PAUSE)
    except TimeoutError as error:
        late = f"Kafka has made topics, and does not show them all after {_PATIENCE:g} s"
        raise LogUnavailable(late) from error


async def _setting_changes(
    admin: AIOKafkaAdminClient, specs: list[TopicSpec]
) -> list[ChangeSettings]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs]
    effective: dict[str, dict[str, str]] = {}
    overridden: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(asked):
        for code, message, _, topic, entries in answer.resources:
            _check(code, message)
            effective[topic] = {name: value for name, value, *_ in entries}
            overridden[topic] = {
                name: value for name, value, _, source, *_ in entries if source == _SET_ON_THE_TOPIC
            }
    changes = []
    for spec in specs:
        now = effective.get(spec.name, {})
        changed = {
            name: (now.get(name), wanted)
            for name, wanted in spec.settings.items()
            if not _same(now.get(name), wanted)
        }
        if changed:
            changes.append(ChangeSettings(spec.name, changed, overridden.get(spec.name, {})))
    return changes


async def max_message_bytes(connection: KafkaConnection, names: Iterable[str]) -> Mapping[str, int]:
    """How large a batch each topic takes, as far as the brokers say; raise as `plan` does."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    async with _admin(connection) as admin:
        return {
            topic: int(value)
            for answer in await admin.describe_configs(asked)
            for code, _, _, topic, entries in answer.resources
            for name, value, *_ in entries
            if code == 0 and name == "max.message.bytes" and value
        }


def _same(present: str | None, wanted: str) -> bool:
    return present is not None and set(present.split(",")) == set(wanted.split(","))


async def _create(admin: AIOKafkaAdminClient, changes: list[CreateTopic]) -> None:
    answer = await admin.create_topics(
        [
            NewTopic(
                change.spec.name,
                change.spec.partitions,
                change.replication_factor,
                topic_configs=change.spec.settings,
            )
            for change in changes
        ]
    )
    for _, code, *message in answer.topic_errors:
        if for_code(code) is not TopicAlreadyExistsError:
            _check(code, message[0] if message else None)


async def _change_settings(admin: AIOKafkaAdminClient, changes: list[ChangeSettings]) -> None:
    resources = [
        ConfigResource(
            ConfigResourceType.TOPIC,
            change.topic,
            {**change.kept, **{name: new for name, (_, new) in change.changed.items()}},
        )
        for change in changes
    ]
    for answer in await admin.alter_configs(resources):
        for code, message, *_ in answer.resources:
            _check(code, message)


def _check(code: int, message: str | None) -> None:
    if code:
        raise for_code(code)(message or "")


def _why(error: Exception, connection: KafkaConnection) -> str:
    if isinstance(error, KafkaConnectionError | OSError):
        return f"no Kafka broker answers at {connection.bootstrap_servers}"
    return f"Kafka refuses to show or change topics: {error!r}"


@asynccontextmanager
async def _admin(connection: KafkaConnection) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**connection.admin_settings())
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise LogUnavailable(_why(error, connection)) from error
    finally:
        await admin.close()
