"""A gateway, a worker and a projector in one process and in memory, each with its telemetry."""

import asyncio
from datetime import UTC, datetime

from fastapi import FastAPI, HTTPException
from httpx import ASGITransport, AsyncClient

from app.adapters.local.clock import SystemClock
from app.adapters.memory.catalog import MemoryCatalog
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.status_store import MemoryStatusStore
from app.adapters.memory.tracing import NullTracing
from app.adapters.otel.provider import Telemetry
from app.domain.model.agents import AgentSpec
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.errors import PlatformError
from app.domain.model.events import Event, Result
from app.domain.model.messages import Message
from app.domain.use_cases.run_task import RunTaskHandler
from app.domain.use_cases.submit_task import SubmitTaskHandler
from app.ports.agent_runtime import AgentRuntime, RunContext, TaskInput
from app.ports.event_log import EventLog, Recorded
from app.ports.status_store import ViewStore, ViewUpdate
from app.ports.task_queue import Delivery
from tests.builders import ANALYST, RULES, WORKER, requested

COMMANDS = f"crewline.commands.{ANALYST}"
RESULTS = "crewline.results"


def topic_of(message: Message) -> str:
    return COMMANDS if isinstance(message, SubmitTask) else RESULTS


class ScriptedRuntime(AgentRuntime):
    """A crew of one that asks a model and a tool, and can be told to fail."""

    name = RULES

    def __init__(self) -> None:
        self.failure: PlatformError | None = None

    def check(self, spec: AgentSpec) -> None:
        """Every agent will do."""

    async def run(self, spec: AgentSpec, task: TaskInput, context: RunContext) -> Result:
        crew = await context.begin("workflow", "research")
        agent = await context.begin("agent", spec.name, crew)
        chat = await context.begin("model", "gpt-4o", agent, "openai")
        await context.token("Kaf", agent)
        if self.failure is not None:
            raise self.failure
        await context.end(chat, input_tokens=900, output_tokens=120, finish_reason="stop")
        await context.end(await context.begin("tool", "search", agent))
        await context.end(agent)
        await context.end(crew)
        return Result(output="A log.")


class TracedPlatform:
    """What bootstrap wires for three processes, as far as tracing goes; None is tracing off."""

    def __init__(
        self, gateway: Telemetry | None, worker: Telemetry | None, projector: Telemetry | None
    ) -> None:
        self.log = MemoryEventLog()
        self.runtime = ScriptedRuntime()
        self._memory = MemoryStatusStore()
        self.views: ViewStore = (
            projector.views(self._memory, topic_of, "projector") if projector else self._memory
        )
        catalog = MemoryCatalog(
            [AgentSpec(name=ANALYST, description="Analyses.", runtimes={RULES: {}})]
        ).load()
        clock = SystemClock()
        self.submit = SubmitTaskHandler(catalog, self._logged(gateway), self._memory, clock)
        self.handle = RunTaskHandler(
            worker_id=WORKER,
            catalog=catalog,
            runtimes={RULES: self.runtime},
            log=self._logged(worker),
            dead_letters=MemoryDeadLetters(),
            delays=self.log.delays(),
            clock=clock,
            tracing=worker.tracing("workers") if worker else NullTracing(),
        )
        self.app = _gateway(self.submit)
        if gateway:
            gateway.instrument(self.app)

    def client(self) -> AsyncClient:
        return AsyncClient(transport=ASGITransport(self.app), base_url="http://gateway")

    def recorded(self, kind: type[Message] = Message) -> list[Recorded]:
        """What stands in the log, of one kind of messages."""
        shards = [self.log.records(shard) for shard in self.log.ends()]
        return [each for shard in shards for each in shard if isinstance(each.message, kind)]

    def told(self, kind: type[Message] = Message) -> list[Message]:
        """The messages in the log, of one kind."""
        messages = (record.message for record in self.recorded(kind))
        return [message for message in messages if isinstance(message, Message)]

    async def run_worker(self, attempt: int = 1) -> None:
        """Deliver every command."""
        for record in self.recorded(SubmitTask):
            assert isinstance(record.message, SubmitTask)
            await self.handle(_delivery(record, record.message, attempt))

    async def project(self, at_once: int = 1) -> None:
        """Store every command and event, so many in a batch."""
        messages = self.told()
        for start in range(0, len(messages), at_once):
            await self.views.save(_update(messages[start : start + at_once]))

    def _logged(self, telemetry: Telemetry | None) -> EventLog:
        return telemetry.event_log(self.log, topic_of) if telemetry else self.log


def _gateway(submit: SubmitTaskHandler) -> FastAPI:
    app = FastAPI()

    @app.post("/v1/tasks", status_code=202)
    async def tasks() -> dict[str, str]:
        return {"id": (await submit(requested())).id}

    @app.get("/v1/tasks/{task_id}")
    async def task(task_id: str) -> None:
        raise HTTPException(404, f"no task {task_id}")

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("boom")

    @app.get("/health")
    async def health() -> str:
        return "well"

    return app


def _delivery(record: Recorded, command: SubmitTask, attempt: int) -> Delivery:
    origin = Origin(
        topic=COMMANDS,
        partition=record.shard.partition,
        offset=record.offset,
        timestamp=datetime.now(UTC),
        key=command.id.encode(),
    )
    return Delivery(command, origin, attempt, redelivered=attempt > 1, lost=asyncio.Event())


def _update(messages: list[Message]) -> ViewUpdate:
    commands = [message for message in messages if isinstance(message, SubmitTask)]
    events = [message for message in messages if isinstance(message, Event)]
    return ViewUpdate(commands, {}, events, before={}, after={})
