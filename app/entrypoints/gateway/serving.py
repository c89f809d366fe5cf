"""The gateway process: serves the application until it is asked to stop."""

import asyncio
import contextlib
import errno
import socket

import structlog
import uvicorn

from app.domain.model.errors import Unavailable
from app.entrypoints.bootstrap import processes
from app.entrypoints.bootstrap.brokers import Broker, broker_of
from app.entrypoints.bootstrap.stores import Store, open_store
from app.entrypoints.bootstrap.telemetry import observing
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.process import Stop, run_until_stopped
from app.entrypoints.settings import GatewaySettings, Settings

_log = structlog.get_logger(__name__)


class PortTaken(Unavailable):
    """Another program listens where the gateway should."""

    code = "port-taken"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Leave the signals to the process: it has more to end than this server."""
        yield


def run(settings: Settings) -> int:
    """Serve until asked to stop; readiness goes first, then open requests may finish."""
    refuse_taken(settings.gateway)

    async def main(stop: Stop) -> None:
        async with open_store(settings, up_to_date=True) as store:
            await serve(settings, broker_of(settings), store, stop, asyncio.Event())

    return run_until_stopped(main)


def refuse_taken(gateway: GatewaySettings) -> None:
    """Raise `PortTaken` before anything else is started."""
    _listen(gateway).close()


async def serve(
    settings: Settings, broker: Broker, store: Store, stop: Stop, ready: asyncio.Event
) -> None:
    """`ready` is set once requests are answered."""
    gateway = settings.gateway
    with observing(settings, "gateway") as observed, _listen(gateway) as listening:
        draining = Draining()
        async with processes.gateway(settings, broker, store, observed, draining) as app:
            server = _Server(
                uvicorn.Config(
                    app,
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    lifespan="off",
                    timeout_graceful_shutdown=int(gateway.drain_seconds),
                ),
                ready,
            )
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            asked = asyncio.create_task(stop.wait())
            host, port = listening.getsockname()[:2]
            _log.info("serving", host=host, port=port)
            await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
            draining.begin()
            server.should_exit = True
            asked.cancel()
            await serving


def _listen(gateway: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in gateway.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((gateway.host, gateway.port))
        listening.listen(2_048)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {gateway.port} is taken by another program; choose one with --port"
            ) from error
        raise PortTaken(f"{gateway.host}:{gateway.port} cannot be used: {error}") from error
    return listening
