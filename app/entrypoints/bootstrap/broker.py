"""What a broker has to offer, whichever it is."""

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from app.domain.model.agents import AgentCatalog
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.domain.model.messages import Message
from app.entrypoints.settings import WorkerSettings
from app.ports.backlogs import Backlogs
from app.ports.control import Control
from app.ports.dead_letters import DeadLetters
from app.ports.delays import DelayQueue, Delays, Unwanted
from app.ports.event_log import Endings, EventFeed, EventLog, LogEnds, ResultTail
from app.ports.fleet import FleetFeed, Heartbeats
from app.ports.redelivery import Redelivery
from app.ports.task_queue import Ownership, Retained, Shares, TaskQueue


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
    async def learn_limits(self) -> None:
        """Find out how large a result may be; it never raises."""

    @abstractmethod
    async def ping(self) -> None:
        """Return if the broker answers, else raise `LogUnavailable`."""


class Queue(TaskQueue, Shares, Retained, Protocol):
    """A queue that also tells how much of it is ours, and what is left of that."""


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
    def endings(self) -> Endings: ...

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
        runs: Mapping[AgentName, Collection[RuntimeName]],
        ownership: Ownership,
    ) -> Queue:
        """A queue of all tasks but those of `others`, agents this worker cannot run.

        Tasks of agents that are not among those it `runs` come where no other worker runs them.
        """

    @abstractmethod
    def backlogs(self, group: str) -> AbstractAsyncContextManager[Backlogs]:
        """How much waits for the workers of this group."""

    @abstractmethod
    def log_ends(self) -> AbstractAsyncContextManager[LogEnds]:
        """How much there is that the views have to read of tasks."""

    @abstractmethod
    def topic_of(self, message: Message) -> str: ...

    @abstractmethod
    async def provision(self, catalog: AgentCatalog, *, apply: bool) -> Sequence[str]:
        """What has to change about the topics, a line each; done where `apply` says so."""
