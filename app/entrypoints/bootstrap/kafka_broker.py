"""Kafka, as the settings describe it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from pydantic import SecretStr

from app.adapters.kafka import provisioning
from app.adapters.kafka.backlogs import KafkaBacklogs
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.control import KafkaControl
from app.adapters.kafka.dead_letters import KafkaDeadLetters
from app.adapters.kafka.endings import KafkaEndings
from app.adapters.kafka.engine import Limits
from app.adapters.kafka.event_feed import KafkaEventFeed
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.fleet import KafkaFleetFeed
from app.adapters.kafka.log_ends import KafkaLogEnds
from app.adapters.kafka.oauth import ClientCredentials
from app.adapters.kafka.result_tail import KafkaResultTail
from app.adapters.kafka.task_queue import KafkaTaskQueue, Subscription
from app.adapters.kafka.topics import Topics
from app.domain.model.agents import AgentCatalog
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.domain.model.messages import Message
from app.entrypoints.bootstrap.broker import Broker, Log, Queue, Tail
from app.entrypoints.settings import KafkaSettings, Settings, WorkerSettings
from app.ports.backlogs import Backlogs
from app.ports.control import Control
from app.ports.dead_letters import DeadLetters
from app.ports.event_log import Endings, EventFeed, LogEnds
from app.ports.fleet import FleetFeed
from app.ports.task_queue import Ownership


def broker_of(settings: Settings) -> Broker:
    """The broker the settings name; nothing connects yet."""
    kafka = settings.kafka
    topics = Topics(
        kafka.prefix,
        command_partitions=kafka.command_partitions,
        event_partitions=kafka.event_partitions,
    )
    return KafkaBroker(connection_of(kafka), topics, replicas=max(kafka.replication_factor, 0))


def connection_of(kafka: KafkaSettings) -> KafkaConnection:
    """The settings as the adapter takes them, secrets opened."""
    oauth = None
    if kafka.oauth_token_url and kafka.oauth_client_id and kafka.oauth_client_secret:
        oauth = ClientCredentials(
            token_url=kafka.oauth_token_url,
            client_id=kafka.oauth_client_id,
            client_secret=kafka.oauth_client_secret.get_secret_value(),
            scope=kafka.oauth_scope,
        )
    return KafkaConnection(
        bootstrap_servers=kafka.bootstrap_servers,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        username=kafka.username,
        password=_opened(kafka.password),
        oauth=oauth,
        ssl_cafile=kafka.ssl_cafile,
        ssl_certfile=kafka.ssl_certfile,
        ssl_keyfile=kafka.ssl_keyfile,
        ssl_key_password=_opened(kafka.ssl_key_password),
        client_id=kafka.client_id,
        embedded=kafka.embedded,
        max_message_bytes=kafka.max_message_bytes,
        request_timeout=kafka.request_timeout_seconds,
        session_timeout=kafka.session_timeout_seconds,
        max_poll_interval=kafka.max_poll_interval_seconds,
    )


def _opened(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


@dataclass(frozen=True, slots=True)
class KafkaBroker(Broker):
    connection: KafkaConnection
    topics: Topics
    replicas: int = 0
    """Copies of each topic; 0 leaves it to the size of the cluster."""

    @property
    def forgets(self) -> bool:  # type: ignore[override]
        return self.connection.embedded

    def log(self) -> AbstractAsyncContextManager[Log]:
        return KafkaEventLog(self.connection, self.topics)

    def dead_letters(self) -> AbstractAsyncContextManager[DeadLetters]:
        return KafkaDeadLetters(self.connection, self.topics)

    def feed(self, group: str | None, member: str | None = None) -> EventFeed:
        return KafkaEventFeed(self.connection, self.topics, group, member=member)

    def tail(self) -> Tail:
        return KafkaResultTail(self.connection, self.topics)

    def endings(self) -> Endings:
        return KafkaEndings(self.connection, self.topics)

    def control(self) -> Control:
        return KafkaControl(self.connection, self.topics)

    def fleet(self) -> FleetFeed:
        return KafkaFleetFeed(self.connection, self.topics)

    def queue(
        self,
        settings: WorkerSettings,
        worker_id: WorkerId,
        others: Collection[AgentName],
        runs: Mapping[AgentName, Collection[RuntimeName]],
        ownership: Ownership,
    ) -> Queue:
        return KafkaTaskQueue(
            self.connection,
            self.topics,
            Subscription(
                agents=[AgentName(name) for name in settings.agents],
                runtimes=[RuntimeName(name) for name in settings.runtimes],
                others=others,
                runs=runs,
            ),
            group=settings.group,
            worker_id=worker_id,
            limits=Limits(
                slots=settings.slots,
                buffer=settings.slots + settings.buffer,
                urgent_slots=settings.urgent_slots,
                urgent_buffer=settings.slots,
            ),
            ownership=ownership,
        )

    def backlogs(self, group: str) -> AbstractAsyncContextManager[Backlogs]:
        return KafkaBacklogs(self.connection, self.topics, group)

    def log_ends(self) -> AbstractAsyncContextManager[LogEnds]:
        return KafkaLogEnds(self.connection, self.topics)

    def topic_of(self, message: Message) -> str:
        return self.topics.of(message)

    async def provision(self, catalog: AgentCatalog, *, apply: bool) -> Sequence[str]:
        agents = [(agent.name, agent.spec.runtimes) for agent in catalog]
        changes = await provisioning.plan(
            self.connection, self.topics, agents, replication_factor=self.replicas or None
        )
        if apply:
            await provisioning.apply(self.connection, changes)
        return [str(change) for change in changes]
