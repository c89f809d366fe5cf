"""The HTTP server inside our processes: its port is taken early, the signals are not its own."""

import asyncio
import contextlib
import errno
import socket
from collections import deque
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.model.errors import Unavailable

_AT_ONCE = 4
"""Requests that begin in one round of the event loop."""
PROBES = frozenset({"/health", "/livez", "/readyz", "/metrics"})


class TakingTurns:
    """Has a crowd of requests begin a few at a time, so that probes and the rest get their turns.

    What a request does before it first waits is one piece of work; of a thousand that come at once
    each would else have to wait for the thousand.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._begun = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBES:
            await self._turn()
        await self._app(scope, receive, send)

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        if self._begun == 0:
            loop.call_soon(self._next_round)
        self._begun += 1
        if self._begun > _AT_ONCE:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn

    def _next_round(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < _AT_ONCE:
            turn = self._waiting.popleft()
            if not turn.done():  # else its request was canceled
                turn.set_result(None)
                self._begun += 1
        if self._waiting:
            self._begun = _AT_ONCE
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)


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
                TakingTurns(app),
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
