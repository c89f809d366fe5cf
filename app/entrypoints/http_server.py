"""The HTTP server inside our processes: its port is taken early, the signals are not its own."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from app.domain.model.errors import Unavailable


class PortTaken(Unavailable):
    """Another program listens where we should."""

    code = "port-taken"


class HttpServer(uvicorn.Server):
    """Serves an application until `should_exit` is set; `ready` is set once it answers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        drain_seconds: float,
        protocol: type[asyncio.Protocol] | None = None,
        ready: asyncio.Event | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol or "auto",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=int(drain_seconds),
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready:
            self._ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process: it has more to end than this server."""
        yield


def listen(host: str, port: int, otherwise: str) -> socket.socket:
    """Take the port, or raise `PortTaken` and say what would do `otherwise`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2_048)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {port} is taken by another program; choose one with {otherwise}"
            ) from error
        raise PortTaken(f"{host}:{port} cannot be used: {error}") from error
    return listening
