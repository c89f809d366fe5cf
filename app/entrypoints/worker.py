"""The worker process: takes tasks from the queue and runs them."""

import asyncio

import structlog

from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.brokers import Broker, broker_of
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.process import Stop, run_until_stopped
from app.entrypoints.settings import Settings

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Work until asked to stop, then let what runs finish for the drain time."""

    async def main(stop: Stop) -> None:
        async with open_store(settings) as store:
            await serve(settings, broker_of(settings), store, stop)

    return run_until_stopped(main)


async def serve(settings: Settings, broker: Broker, store: Store | None, stop: Stop) -> None:
    with observing(settings, "worker") as observed:
        async with processes.worker(settings, broker, store, observed) as parts:
            working = asyncio.create_task(parts.queue.run(parts.handle))
            asked = asyncio.create_task(stop.wait())
            _log.info("working", worker_id=parts.id, runtimes=list(parts.handle.runtimes))
            await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                _log.info("draining", worker_id=parts.id, seconds=settings.worker.drain_seconds)
                await parts.queue.stop(settings.worker.drain_seconds)
            asked.cancel()
            await working
