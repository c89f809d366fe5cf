"""The gateway process: serves the application until it is asked to stop."""

import asyncio
import socket

import structlog

from app.domain.model.agents import AgentCatalog
from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.agents import catalog_of
from app.entrypoints.bootstrap.broker import Broker
from app.entrypoints.bootstrap.kafka_broker import broker_of
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.protocol import ProblemHttpProtocol
from app.entrypoints.http_server import HttpServer, listen
from app.entrypoints.process import Stop, run_until_stopped, spare_the_collector
from app.entrypoints.settings import GatewaySettings, Settings

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Serve until asked to stop; readiness goes first, then open requests may finish."""
    refuse_taken(settings.gateway)

    async def main(stop: Stop) -> None:
        async with open_store(settings, up_to_date=True) as store:
            catalog = catalog_of(settings)
            await serve(
                settings, catalog, broker_of(settings), store, stop=stop, ready=asyncio.Event()
            )

    return run_until_stopped(main)


def refuse_taken(gateway: GatewaySettings) -> None:
    """Raise `PortTaken` before anything else is started."""
    _listen(gateway).close()


async def serve(
    settings: Settings,
    catalog: AgentCatalog,
    broker: Broker,
    store: Store,
    *,
    stop: Stop,
    ready: asyncio.Event,
) -> None:
    """`ready` is set once requests are answered."""
    gateway = settings.gateway
    with observing(settings, "gateway") as observed, _listen(gateway) as listening:
        draining = Draining()
        async with processes.gateway(
            settings, catalog, broker, store, observed=observed, draining=draining
        ) as app:
            server = HttpServer(
                app,
                drain_seconds=gateway.drain_seconds,
                protocol=ProblemHttpProtocol,
                ready=ready,
            )
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            asked = asyncio.create_task(stop.wait())
            spare_the_collector()
            host, port = listening.getsockname()[:2]
            _log.info("serving", host=host, port=port)
            await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if not serving.done():
                draining.announce()
                _log.info("stopping", still_taking_requests_for=gateway.linger_seconds)
                await asyncio.wait({serving}, timeout=gateway.linger_seconds)
            draining.begin()
            server.should_exit = True
            await serving


def _listen(gateway: GatewaySettings) -> socket.socket:
    return listen(gateway.host, gateway.port, "--port")
