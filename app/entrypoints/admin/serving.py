"""Serves probes and metrics beside a worker or a projector, from its first moment to its last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Info, ProcessCollector

from app.domain.model.errors import Unavailable
from app.entrypoints.admin.app import create_app
from app.entrypoints.admin.behind import Behind
from app.entrypoints.admin.health import Health
from app.entrypoints.admin.presence_meter import PresenceMeter
from app.entrypoints.admin.projector_meter import ProjectorMeter
from app.entrypoints.admin.waiting_letters import WaitingLetters
from app.entrypoints.admin.worker_meter import WorkerMeter
from app.entrypoints.bootstrap.processes import ProjectorParts, WorkerParts
from app.entrypoints.bootstrap.stores import Store
from app.entrypoints.bootstrap.telemetry import VERSION
from app.entrypoints.gateway.protocol import ProblemHttpProtocol
from app.entrypoints.http_server import HttpServer, listen
from app.entrypoints.process import Stop
from app.entrypoints.settings import ProjectorSettings, WorkerSettings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerAdmin:
    """What a worker fits with instruments, and tells once it works."""

    meter: WorkerMeter
    health: Health
    presence: PresenceMeter

    def watch(self, working: "asyncio.Future[None]", parts: WorkerParts) -> None:
        self.presence.watch(parts.presence)

        async def connected() -> None:
            if not parts.queue.healthy():
                raise Unavailable("it is not connected, or has not been read for 30 seconds")

        async def releasing() -> None:
            if not parts.delays.healthy():
                raise Unavailable("they are not connected, or have not been read for 30 seconds")

        checks = {"queue": connected, "delays": releasing, "broker": parts.ping}
        self.health.watch(working, lambda: _both_healthy(parts), checks)


def _both_healthy(parts: WorkerParts) -> bool:
    return parts.queue.healthy() and parts.delays.healthy()


@dataclass(frozen=True, slots=True)
class ProjectorAdmin:
    """The same for a projector."""

    meter: ProjectorMeter
    health: Health
    behind: Behind
    letters: WaitingLetters

    @asynccontextmanager
    async def watching(
        self, projecting: "asyncio.Future[None]", parts: ProjectorParts, store: Store
    ) -> AsyncIterator[None]:
        async def consuming() -> None:
            if not self.meter.consuming:
                raise Unavailable("it has not been connected yet")
            if self.behind.trouble:
                raise Unavailable(self.behind.trouble)

        checks = {"log": consuming, "store": store.status.ping}
        self.health.watch(projecting, lambda: self.meter.goes_on, checks)
        looks = (self.behind.watch(parts.feed, store.views), self.letters.watch(store.letters))
        looking = [asyncio.create_task(each) for each in looks]
        try:
            yield
        finally:
            for each in looking:
                each.cancel()
            await asyncio.gather(*looking, return_exceptions=True)


@asynccontextmanager
async def worker_admin(
    settings: WorkerSettings, port: int, stop: Stop
) -> AsyncIterator[WorkerAdmin]:
    registry, health = CollectorRegistry(), Health(stop)
    async with _serving(settings.admin_host, port, "CREWLINE_WORKER", health, registry):
        meter = WorkerMeter(registry, settings.slots)
        yield WorkerAdmin(meter, health, PresenceMeter(registry))


@asynccontextmanager
async def projector_admin(
    settings: ProjectorSettings, port: int, stop: Stop
) -> AsyncIterator[ProjectorAdmin]:
    registry, health = CollectorRegistry(), Health(stop)
    async with _serving(settings.admin_host, port, "CREWLINE_PROJECTOR", health, registry):
        meter, behind = ProjectorMeter(registry), Behind(registry)
        yield ProjectorAdmin(meter, health, behind, WaitingLetters(registry))


@asynccontextmanager
async def _serving(
    host: str, port: int, group: str, health: Health, registry: CollectorRegistry
) -> AsyncIterator[None]:
    Info("crewline_build", "Which Crewline this is.", registry=registry).info({"version": VERSION})
    ProcessCollector(registry=registry)
    with listen(host, port, f"{group}__ADMIN_PORT") as listening:
        server = HttpServer(
            create_app(health, registry, VERSION), drain_seconds=1, protocol=ProblemHttpProtocol
        )
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        host, port = listening.getsockname()[:2]
        _log.info("probes and metrics", host=host, port=port)
        try:
            yield
        finally:
            server.should_exit = True
            await serving
