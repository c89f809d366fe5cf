"""The projector process: folds the log into the views."""

import structlog

from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.brokers import Broker, broker_of
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.process import Stop, run_until_stopped, until_stopped
from app.entrypoints.settings import Settings

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Project until asked to stop; what was not stored is read again."""

    async def main(stop: Stop) -> None:
        async with open_store(settings, up_to_date=True) as store:
            await serve(settings, broker_of(settings), store, stop)

    return run_until_stopped(main)


async def serve(settings: Settings, broker: Broker, store: Store, stop: Stop) -> None:
    with observing(settings, "projector") as observed:
        parts = processes.projector(settings, broker, store, observed)
        _log.info("projecting", group=settings.projector.group)
        await until_stopped(parts.project.run(), stop)
