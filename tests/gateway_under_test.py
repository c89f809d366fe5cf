"""A whole gateway in one process: memory adapters behind it, a projector beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import uvicorn
from fastapi import FastAPI

from app.adapters.local.catalog import compile_schema
from app.adapters.local.clock import SystemClock
from app.adapters.memory.catalog import MemoryCatalog
from app.adapters.memory.event_feed import MemoryEventFeed
from app.adapters.memory.event_log import MemoryEventLog, MemoryLogEnds
from app.adapters.memory.redelivery import MemoryRedelivery
from app.adapters.memory.result_tail import MemoryResultTail
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.agents import AgentCatalog, AgentSpec
from app.domain.model.ids import AgentName, RuntimeName
from app.domain.model.messages import Message
from app.domain.use_cases.await_result import ResultWaiters
from app.domain.use_cases.cancel_task import CancelTaskHandler
from app.domain.use_cases.project_status import ProjectStatus
from app.domain.use_cases.read_letters import ReadLetters
from app.domain.use_cases.read_status import ReadStatus
from app.domain.use_cases.submit_task import SubmitTaskHandler
from app.domain.use_cases.views_lag import ViewsLag
from app.entrypoints.gateway.app import create_app
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.protocol import ProblemHttpProtocol
from app.entrypoints.gateway.services import GatewayLimits, GatewayServices, LetterServices
from app.entrypoints.http_server import TakingTurns
from app.ports.clock import Clock
from app.ports.event_log import EventLog
from app.ports.status_store import StatusStore

ANALYST = AgentSpec(
    name=AgentName("business-analyst"),
    description="Turns wishes into requirements.",
    capabilities=("requirements",),
    runtimes={RuntimeName("rules"): {}},
)
QUICK = GatewayLimits(heartbeat_seconds=0.2, readiness_seconds=0.2)


async def until(happened: Callable[[], bool]) -> None:
    """Return once it has happened, looking often; fail after five seconds."""
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110  it is looked at from outside
            await asyncio.sleep(0.001)


class _Server(uvicorn.Server):
    """Leaves the signals to pytest."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        serving = asyncio.create_task(self._serve())
        await until(lambda: self.started)
        port = self.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            self.should_exit = True
            await serving


@dataclass
class Gateway:
    """What a test may look at and change; `log` and `store` are what really happened."""

    log: MemoryEventLog = field(default_factory=MemoryEventLog)
    store: MemoryStatusStore = field(default_factory=MemoryStatusStore)
    clock: Clock = field(default_factory=SystemClock)
    limits: GatewayLimits = QUICK
    draining: Draining = field(default_factory=Draining)
    adapt: Callable[[GatewayServices], GatewayServices] = lambda services: services
    asked_log: EventLog | None = None
    """A log the gateway is given instead, such as a broken one."""
    asked_store: StatusStore | None = None
    redelivery_log: EventLog | None = None
    """A log that messages of dead letters are sent to again instead."""

    def __post_init__(self) -> None:
        log, store = self.asked_log or self.log, self.asked_store or self.store
        self.catalog: AgentCatalog = MemoryCatalog([ANALYST], compile_schema).load()
        self.waiters = ResultWaiters(MemoryResultTail(self.log))
        status = ReadStatus(
            store, self.waiters, self.clock, ViewsLag(MemoryLogEnds(self.log), self.store)
        )
        self.services = self.adapt(
            GatewayServices(
                submit=SubmitTaskHandler(self.catalog, log, store, self.clock),
                letters=LetterServices.of(
                    ReadLetters(self.store.letters, store),
                    log,
                    MemoryRedelivery(self.redelivery_log or self.log),
                    self.catalog,
                    self.clock,
                ),
                cancel=CancelTaskHandler(log, status, self.clock),
                status=status,
                store=store,
                catalog=self.catalog,
                version="1.2.3",
                readiness={"broker": self.log.ping, "store": store.ping},
                limits=self.limits,
            )
        )
        self.app: FastAPI = create_app(self.services, self.draining)

    async def happen(self, *messages: Message) -> None:
        """Let the log hear of it, and return once the views have."""
        for message in messages:
            await self.log.publish(message)
        async with asyncio.timeout(5):
            while await self.store.offsets() != self.log.ends():  # noqa: ASYNC110  as above
                await asyncio.sleep(0.001)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Gateway"]:
        """Beside a projector, and listening to the results."""
        project = ProjectStatus(MemoryEventFeed(self.log), self.store)
        tasks = [asyncio.create_task(each) for each in (self.waiters.run(), project.run())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client without a network. It gets an answer only when that is complete."""
        transport = httpx.ASGITransport(self.app)
        async with (
            self.running(),
            httpx.AsyncClient(transport=transport, base_url="http://gateway") as client,
        ):
            yield client

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The address of a real server."""
        config = uvicorn.Config(
            TakingTurns(self.app),
            port=0,
            http=ProblemHttpProtocol,
            log_config=None,
            ws="none",
            lifespan="on",
        )
        async with self.running(), _Server(config).listening() as url:
            yield url


def with_readiness(
    **checks: Callable[[], Awaitable[None]],
) -> Callable[[GatewayServices], GatewayServices]:
    """Other readiness checks than the memory adapters'."""
    return lambda services: replace(services, readiness=checks)
