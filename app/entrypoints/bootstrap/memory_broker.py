"""A broker in this process's memory."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from app.adapters.kafka.topics import Topics
from app.adapters.memory.backlogs import MemoryBacklogs
from app.adapters.memory.control import MemoryControl
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.endings import MemoryEndings
from app.adapters.memory.event_feed import MemoryEventFeed
from app.adapters.memory.event_log import MemoryEventLog, MemoryLogEnds
from app.adapters.memory.result_tail import MemoryResultTail
from app.adapters.memory.task_queue import MemoryTaskQueue, MemoryTasks
from app.domain.model.agents import AgentCatalog
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.domain.model.messages import Message
from app.entrypoints.bootstrap.broker import Broker, Log, Queue, Tail
from app.entrypoints.settings import WorkerSettings
from app.ports.backlogs import Backlogs
from app.ports.control import Control
from app.ports.dead_letters import DeadLetters
from app.ports.event_log import Endings, EventFeed, LogEnds
from app.ports.fleet import FleetFeed
from app.ports.task_queue import Ownership


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

    def endings(self) -> Endings:
        return MemoryEndings(self.memory)

    def control(self) -> Control:
        return MemoryControl(self.memory)

    def fleet(self) -> FleetFeed:
        return self.memory.heartbeats()

    def queue(
        self,
        settings: WorkerSettings,
        worker_id: WorkerId,  # noqa: ARG002  there is one worker
        others: Collection[AgentName],  # noqa: ARG002
        runs: Mapping[AgentName, Collection[RuntimeName]],  # noqa: ARG002
        ownership: Ownership,  # noqa: ARG002  nobody takes anything from it
    ) -> Queue:
        return MemoryTaskQueue(self.tasks, settings.slots, urgent_slots=settings.urgent_slots)

    def backlogs(self, group: str) -> AbstractAsyncContextManager[Backlogs]:  # noqa: ARG002
        return nullcontext(MemoryBacklogs(self.tasks))

    def log_ends(self) -> AbstractAsyncContextManager[LogEnds]:
        return nullcontext(MemoryLogEnds(self.memory))

    def topic_of(self, message: Message) -> str:
        return Topics().of(message)

    async def provision(
        self,
        catalog: AgentCatalog,  # noqa: ARG002  memory has room for every topic
        *,
        apply: bool,  # noqa: ARG002
    ) -> Sequence[str]:
        return []
