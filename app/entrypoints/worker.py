"""The worker process: takes tasks from the queue and runs them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from app.domain.model.agents import AgentCatalog
from app.domain.model.errors import InvalidAgent
from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.agents import catalog_of, sound_agents
from app.entrypoints.bootstrap.broker import Broker
from app.entrypoints.bootstrap.kafka_broker import broker_of
from app.entrypoints.bootstrap.late_store import open_late
from app.entrypoints.bootstrap.limits import open_limits
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.process import Stop, run_until_stopped, spare_the_collector
from app.entrypoints.settings import Settings, WorkerSettings
from app.entrypoints.surroundings import Surroundings, look_after
from app.ports.status_store import PastTasks

if TYPE_CHECKING:
    from app.entrypoints.admin.serving import WorkerAdmin

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Work until asked to stop, then let what runs finish for the drain time."""

    async def main(stop: Stop) -> None:
        async with open_late(settings) as store:
            catalog = await _catalog(settings)
            await serve(settings, catalog, broker_of(settings), store, stop)

    return run_until_stopped(main)


async def _catalog(settings: Settings) -> AgentCatalog:
    """Every agent; raise `InvalidAgent` for a broken file, also with what else would not run."""
    try:
        return catalog_of(settings)
    except InvalidAgent as error:
        async with open_limits(settings) as limits:
            _, problems = sound_agents(settings, limits)
        raise InvalidAgent(*problems) from error


async def serve(
    settings: Settings, catalog: AgentCatalog, broker: Broker, store: PastTasks, stop: Stop
) -> None:
    surroundings = Surroundings()  # before any code of agents is loaded
    with observing(settings, "worker") as observed:
        async with (
            _admin(settings.worker, stop) as admin,
            processes.worker(
                settings,
                catalog,
                broker,
                store,
                observed=observed,
                meter=admin.meter if admin else None,
            ) as parts,
        ):
            handle = admin.meter.handling(parts.handle) if admin else parts.handle
            loops = [
                asyncio.create_task(parts.queue.run(handle)),
                asyncio.create_task(parts.delays.run(parts.release)),
            ]
            ending_lost = asyncio.create_task(parts.lost.run())
            working = asyncio.create_task(_all(loops))
            if admin:
                admin.watch(working, parts)
            asked = asyncio.create_task(_asked(stop))
            hands = parts.presence.hands
            looking = asyncio.create_task(
                look_after(surroundings, lambda: [hold.command.agent for hold in hands])
            )
            spare_the_collector()
            _log.info("working", worker_id=parts.id, runtimes=list(parts.handle.runtimes))
            try:
                await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
                _log.info("draining", worker_id=parts.id, seconds=settings.worker.drain_seconds)
                await parts.queue.stop(settings.worker.drain_seconds)
                await parts.delays.stop()  # last: it releases for the others too
                await asyncio.wait(loops)
                await working
            finally:
                beside = (looking, ending_lost)
                for each in (*loops, working, asked, *beside):
                    each.cancel()
                await asyncio.gather(*loops, working, asked, *beside, return_exceptions=True)


async def _asked(stop: Stop) -> None:
    await stop.wait()


async def _all(loops: "list[asyncio.Task[None]]") -> None:
    """Return when all have ended, raise as soon as one fails."""
    await asyncio.gather(*loops)


@asynccontextmanager
async def _admin(settings: WorkerSettings, stop: Stop) -> "AsyncIterator[WorkerAdmin | None]":
    """Probes and metrics, where there is a port for them; without one nothing of it is loaded."""
    if settings.admin_port is None:
        yield None
        return
    from app.entrypoints.admin.serving import worker_admin  # noqa: PLC0415

    async with worker_admin(settings, settings.admin_port, stop) as admin:
        yield admin
