"""A worker with everything in memory but an agent that does what the test says."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pydantic import JsonValue

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.delays import MemoryDelays
from app.adapters.memory.endings import MemoryEndings
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.status_store import MemoryStatusStore
from app.adapters.memory.tracing import RecordingTracing
from app.domain.model.agents import Agent, AgentCatalog, AgentSpec
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.errors import Violation
from app.domain.model.events import Event, Result, TaskCompleted
from app.domain.model.ids import RuntimeName
from app.domain.model.progress import fold
from app.domain.model.retries import RetryPolicy
from app.domain.use_cases.run_task import RunTaskHandler
from app.domain.use_cases.unseen_endings import UnseenEndings
from app.ports.agent_runtime import AgentRuntime, RunContext, TaskInput
from app.ports.status_store import ViewUpdate
from app.ports.task_queue import Delivery, Undecodable
from tests.builders import ANALYST, RULES, WORKER, at

Work = Callable[[TaskInput, RunContext], Awaitable[Result]]


class Scripted(AgentRuntime):
    """A runtime that does what the test says."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.runs = 0

    @property
    def name(self) -> RuntimeName:
        return RULES

    def check(self, spec: AgentSpec) -> None:
        pass

    async def run(self, spec: AgentSpec, task: TaskInput, context: RunContext) -> Result:
        self.runs += 1
        return await self.work(task, context)


async def no_blank_input(value: JsonValue) -> tuple[Violation, ...]:
    return () if value else (Violation("", "must not be blank"),)


@dataclass
class Worker:
    """A handler with everything in memory, and what it left behind."""

    runtime: Scripted
    log: MemoryEventLog = field(default_factory=MemoryEventLog)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    clock: MemoryClock = field(default_factory=lambda: MemoryClock(at(60)))
    tracing: RecordingTracing = field(default_factory=RecordingTracing)
    store: MemoryStatusStore | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        spec = AgentSpec(
            name=ANALYST,
            description="x",
            runtimes={RULES: {}},
            timeout_seconds=5,
            retry=self.retry,
        )
        self.delays = MemoryDelays(self.clock.now)
        self.handle = RunTaskHandler(
            worker_id=WORKER,
            catalog=AgentCatalog([Agent(spec, no_blank_input)]),
            runtimes={RULES: self.runtime},
            log=self.log,
            dead_letters=self.letters,
            delays=self.delays,
            clock=self.clock,
            tracing=self.tracing,
            store=self.store,
            unseen=self.unseen,
        )

    @property
    def unseen(self) -> UnseenEndings | None:
        if self.store is None:
            return None
        return UnseenEndings(self.store, MemoryEndings(self.log), self.clock)

    @property
    def events(self) -> list[Event]:
        records = (each for shard in self.log.ends() for each in self.log.records(shard))
        events = [each.message for each in records if isinstance(each.message, Event)]
        return sorted(events, key=lambda event: (event.attempt, event.sequence))


def worker(work: Work, retry: RetryPolicy | None = None) -> Worker:
    return Worker(Scripted(work), retry=retry or RetryPolicy())


async def answer(task: TaskInput, context: RunContext) -> Result:
    return Result(output="done")


async def holding(command: SubmitTask, *endings: TaskCompleted) -> MemoryStatusStore:
    """A store that knows a task, and perhaps its end."""
    store = MemoryStatusStore()
    progress = {end.task_id: fold(None, end, offset=0) for end in endings}
    await store.save(ViewUpdate([command], progress, [], before={}, after={}))
    return store


def delivered(
    content: SubmitTask | Undecodable,
    attempt: int = 1,
    *,
    redelivered: bool = False,
    failures: int = 0,
    interrupted: int = 0,
) -> Delivery:
    origin = Origin(topic="t", partition=0, offset=7, timestamp=at(0), key=b"k", value=b"v")
    lost = asyncio.Event()
    return Delivery(content, origin, attempt, redelivered, lost, failures, interrupted)


class Hang:
    """Work that goes on until it is stopped, and notes both."""

    def __init__(self) -> None:
        self.begun, self.stopped = asyncio.Event(), asyncio.Event()

    async def __call__(self, task: TaskInput, context: RunContext) -> Result:
        self.begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            self.stopped.set()
        return Result()
