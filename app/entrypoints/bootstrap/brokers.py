"""Where the log is: Kafka, or this process's memory."""

from abc import abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr

from app.adapters.kafka import provisioning
from app.adapters.kafka.backlogs import KafkaBacklogs
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.control import KafkaControl
from app.adapters.kafka.dead_letters import KafkaDeadLetters
from app.adapters.kafka.engine import Limits
from app.adapters.kafka.event_feed import KafkaEventFeed
from app.adapters.kafka.event_log import KafkaEventLog
from app.adapters.kafka.fleet import KafkaFleetFeed
from app.adapters.kafka.oauth import ClientCredentials
from app.adapters.kafka.result_tail import KafkaResultTail
from app.adapters.kafka.task_queue import KafkaTaskQueue, Subscription
from app.adapters.kafka.topics import Topics
from app.adapters.memory.backlogs import MemoryBacklogs
from app.adapters.memory.control import MemoryControl
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.event_feed import MemoryEventFeed
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.result_tail import MemoryResultTail
from app.adapters.memory.task_queue import MemoryTaskQueue, MemoryTasks
from app.domain.model.agents import AgentCatalog
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.domain.model.messages import Message
from app.entrypoints.settings import KafkaSettings, Settings, WorkerSettings
from app.ports.backlogs import Backlogs
from app.ports.control import Control
from app.ports.dead_letters import DeadLetters
from app.ports.delays import DelayQueue, Delays, Unwanted
from app.ports.event_log import EventFeed, EventLog, ResultTail
from app.ports.fleet import FleetFeed, Heartbeats
from app.ports.redelivery import Redelivery
from app.ports.task_queue import Ownership, Shares, TaskQueue


class Log(EventLog, Protocol):
    @abstractmethod
    def delays(self) -> Delays:
        """Where commands wait for their time."""

    @abstractmethod
    def delay_queue(self, worker_id: WorkerId, unwanted: Unwanted) -> DelayQueue:
        """What releases them, shared out over the workers."""

    @abstractmethod
    def redelivery(self) -> Redelivery:
        """Sends dead letters' messages again."""

    @abstractmethod
    def heartbeats(self) -> Heartbeats:
        """Where a worker says that it lives."""

    @abstractmethod
    async def ping(self) -> None:
        """Return if the broker answers, else raise `LogUnavailable`."""


class Queue(TaskQueue, Shares, Protocol):
    """A queue that also tells how much of it is ours."""


class Tail(ResultTail, Protocol):
    @abstractmethod
    async def ready(self) -> None:
        """Return once nothing appended from now on is missed."""


class Broker(Protocol):
    """The adapters of one technology."""

    forgets: bool
    """Whether all that is in it is gone when it stops."""

    @abstractmethod
    def log(self) -> AbstractAsyncContextManager[Log]: ...

    @abstractmethod
    def dead_letters(self) -> AbstractAsyncContextManager[DeadLetters]: ...

    @abstractmethod
    def feed(self, group: str | None, member: str | None = None) -> EventFeed:
        """What the views are made from; a `member` that comes back has its share at once."""

    @abstractmethod
    def tail(self) -> Tail: ...

    @abstractmethod
    def control(self) -> Control: ...

    @abstractmethod
    def fleet(self) -> FleetFeed: ...

    @abstractmethod
    def queue(
        self,
        settings: WorkerSettings,
        worker_id: WorkerId,
        others: Collection[AgentName],
        ownership: Ownership,
    ) -> Queue:
        """A queue of all tasks but those of `others`, agents this worker cannot run."""

    @abstractmethod
    def backlogs(self, group: str) -> AbstractAsyncContextManager[Backlogs]:
        """How much waits for the workers of this group."""

    @abstractmethod
    def topic_of(self, message: Message) -> str: ...

    @abstractmethod
    async def provision(self, catalog: AgentCatalog, *, apply: bool) -> Sequence[str]:
        """What has to change about the topics, a line each; done where `apply` says so."""


def broker_of(settings: Settings) -> Broker:
    """The broker the settings name; nothing connects yet."""
    kafka = settings.kafka
    topics = Topics(kafka.prefix, command_partitions=kafka.command_partitions)
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

    def control(self) -> Control:
        return KafkaControl(self.connection, self.topics)

    def fleet(self) -> FleetFeed:
        return KafkaFleetFeed(self.connection, self.topics)

    def queue(
        self,
        settings: WorkerSettings,
        worker_id: WorkerId,
        others: Collection[AgentName],
        ownership: Ownership,
    ) -> Queue:
        return KafkaTaskQueue(
            self.connection,
            self.topics,
            Subscription(
                agents=[AgentName(name) for name in settings.agents],
                runtimes=[RuntimeName(name) for name in settings.runtimes],
                others=others,
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


@dataclass(frozen=True, slots=True)
class MemoryBroker(Broker):
    """For `crewline dev --broker memory`: all processes in one, and nothing kept."""

    memory: MemoryEventLog = field(default_factory=MemoryEventLog)
    letters: MemoryDeadLetters = field(init=False)
    forgets: bool = True
    tasks: MemoryTasks = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tasks", MemoryTasks(self.memory))
        object.__setattr__(self, "letters", MemoryDeadLetters(self.memory))

    def log(self) -> AbstractAsyncContextManager[Log]:
        return nullcontext(self.memory)

    def dead_letters(self) -> AbstractAsyncContextManager[DeadLetters]:
        return nullcontext(self.letters)

    def feed(self, group: str | None, member: str | None = None) -> EventFeed:  # noqa: ARG002  alone
        return MemoryEventFeed(self.memory)

    def tail(self) -> Tail:
        return MemoryResultTail(self.memory)

    def control(self) -> Control:
        return MemoryControl(self.memory)

    def fleet(self) -> FleetFeed:
        return self.memory.heartbeats()

    def queue(
        self,
        settings: WorkerSettings,
        worker_id: WorkerId,  # noqa: ARG002  there is one worker
        others: Collection[AgentName],  # noqa: ARG002
        ownership: Ownership,  # noqa: ARG002  nobody takes anything from it
    ) -> Queue:
        return MemoryTaskQueue(self.tasks, settings.slots, urgent_slots=settings.urgent_slots)

    def backlogs(self, group: str) -> AbstractAsyncContextManager[Backlogs]:  # noqa: ARG002
        return nullcontext(MemoryBacklogs(self.tasks))

    def topic_of(self, message: Message) -> str:
        return Topics().of(message)

    async def provision(
        self,
        catalog: AgentCatalog,  # noqa: ARG002  memory has room for every topic
        *,
        apply: bool,  # noqa: ARG002
    ) -> Sequence[str]:
        return []
