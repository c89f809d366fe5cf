"""The projector process: folds the log into the views."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import structlog

from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.broker import Broker
from app.entrypoints.bootstrap.kafka_broker import broker_of
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.process import Stop, run_until_stopped, spare_the_collector, until_stopped
from app.entrypoints.settings import ProjectorSettings, Settings

if TYPE_CHECKING:
    from app.entrypoints.admin.serving import ProjectorAdmin

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Project until asked to stop; what was not stored is read again."""

    async def main(stop: Stop) -> None:
        async with open_store(settings, up_to_date=True) as store:
            await serve(settings, broker_of(settings), store, stop)

    return run_until_stopped(main)


async def serve(settings: Settings, broker: Broker, store: Store, stop: Stop) -> None:
    with observing(settings, "projector") as observed:
        async with _admin(settings.projector, stop) as admin:
            meter = admin.meter if admin else None
            with processes.projector(settings, broker, store, observed, meter) as parts:
                projecting = asyncio.ensure_future(parts.project.run())
                spare_the_collector()
                _log.info("projecting", group=settings.projector.group, projector_id=parts.id)
                async with admin.watching(projecting, parts, store) if admin else nullcontext():
                    await until_stopped(projecting, stop)


@asynccontextmanager
async def _admin(settings: ProjectorSettings, stop: Stop) -> "AsyncIterator[ProjectorAdmin | None]":
    """Probes and metrics, where there is a port for them; without one nothing of it is loaded."""
    if settings.admin_port is None:
        yield None
        return
    from app.entrypoints.admin.serving import projector_admin  # noqa: PLC0415

    async with projector_admin(settings, settings.admin_port, stop) as admin:
        yield admin
