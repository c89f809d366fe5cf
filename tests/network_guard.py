"""Keeps tests off the network, so that none can spend money or depend on somebody's server.

An audit hook sees every connection and name look-up that Python makes, whichever library asks. A
test in `unit/` may open none at all; any other reaches this machine and the servers it was given.
"""

import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

MODEL_KEYS = ("_API_KEY", "_API_TOKEN", "_ACCESS_KEY")
"""How the variables end that would let a child process pay for a model."""


class NetworkForbidden(BaseException):
    """A test tried to reach the network; no `except Exception` may hide it."""


class _Guard:
    """What is allowed at the moment."""

    def __init__(self) -> None:
        self.hosts = {"localhost", "ip6-localhost", ""}
        self.offline_because: str | None = None

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in {"socket.connect", "socket.sendto", "socket.bind"}:
            self._check(event, arguments[1])
        elif event == "socket.getaddrinfo" and arguments[0] is not None:
            self._check(event, (arguments[0], arguments[1]))

    def _check(self, event: str, address: object) -> None:
        if self.offline_because is not None:
            raise NetworkForbidden(f"{self.offline_because}: {event} {address!r}")
        if not isinstance(address, tuple):
            return  # a path: a Unix socket of this machine
        host = address[0].decode() if isinstance(address[0], bytes) else str(address[0])
        if host not in self.hosts and not _is_loopback(host):
            raise NetworkForbidden(f"tests stay on this machine: {event} {address!r}")


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


_guard = _Guard()


def install(*allowed_urls: str | None) -> None:
    """Guard this process from now on, and take the keys away that its children could spend."""
    for name in [name for name in os.environ if name.endswith(MODEL_KEYS)]:
        del os.environ[name]
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "").split(",")
    _guard.hosts |= {server.rpartition(":")[0] for server in servers}
    for url in (*allowed_urls, os.environ.get("DOCKER_HOST")):
        host = urlsplit(url or "").hostname
        _guard.hosts |= {host} if host else set()
    sys.addaudithook(_guard)


@contextmanager
def offline(because: str) -> Iterator[None]:
    """Allow no socket at all meanwhile."""
    before, _guard.offline_because = _guard.offline_because, because
    try:
        yield
    finally:
        _guard.offline_because = before
