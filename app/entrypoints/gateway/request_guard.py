"""Refuses requests made by pages of other sites, for hosts that are not ours, or by two paths.

A browser sends a page's requests wherever the page says, to this machine as well. It tells whose
page it is: `Sec-Fetch-Site`, or else `Origin`. Only the host gives away a page whose own name was
made to lead here (DNS rebinding). Programs that are no browsers send neither of the two.
"""

import ipaddress
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.entrypoints.gateway.problems import Problem, of_status
from app.entrypoints.gateway.services import GatewayServices
from app.entrypoints.gateway.tracing import trace_id
from app.entrypoints.http_server import PROBES

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = frozenset({"same-origin", "none"})
"""`none` is what the person at the browser asked for, and no page."""
_ANY = "*"


class RequestGuard:
    """Stands before the routes; what it refuses is answered with a problem."""

    def __init__(self, app: ASGIApp, services: GatewayServices) -> None:
        self._app = app
        self._services = services
        self._hosts = tuple(name.lower() for name in services.allowed_hosts)
        self._origins = frozenset(services.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
            return
        quoted = trace_id(scope, self._services.current_trace_id)
        await problem.response(scope["path"], quoted)(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._serves(host, scope["path"]):
            detail = (
                f"{host[:100]!r} is no host of this gateway; CREWLINE_GATEWAY__ALLOWED_HOSTS says "
                "which there are"
            )
            return Problem(HTTPStatus.MISDIRECTED_REQUEST, "unknown-host", detail)
        if _of_another_site(scope["method"], headers, host, self._origins):
            detail = (
                "a page of another site asks for this; CREWLINE_GATEWAY__CORS_ORIGINS says which "
                "may"
            )
            return Problem(HTTPStatus.FORBIDDEN, "cross-site", detail)
        raw: bytes = scope.get("raw_path") or b""
        if b"%2f" in raw.lower():  # decoded it would be another path than the one asked for
            path = raw[:200].decode("latin-1")
            return of_status(HTTPStatus.NOT_FOUND, f"nothing is served at {path}")
        return None

    def _serves(self, host: str, path: str) -> bool:
        """Whether a host is one of ours. Probes name an address, which leads nowhere else.

        Without a host asks what speaks HTTP/1.0, and no browser does.
        """
        if not self._hosts or _ANY in self._hosts or not host:
            return True
        name = _name(host)
        if _is_loopback(name) or (path in PROBES and _address(name)):
            return True
        return any(
            name.endswith(each[1:]) if each.startswith("*.") else name == each
            for each in self._hosts
        )


def _of_another_site(method: str, headers: Headers, host: str, allowed: Collection[str]) -> bool:
    """Whether another site's page asks, and is not allowed to.

    A link to one of our pages may stand anywhere, but not a frame that holds it.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None and (_ANY in allowed or origin.lower() in allowed):
        return False
    if site is not None:
        link = (method in _SAFE, headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
        return site not in _OWN and link != (True, "navigate", "document")
    return origin is not None and not _is_origin_of(origin, host)


def _is_origin_of(origin: str, host: str) -> bool:
    """Compared without the scheme: there may be a proxy before us that speaks TLS."""
    try:
        asking = urlsplit(origin)
        port = asking.port
    except ValueError:
        return False
    if asking.scheme not in {"http", "https"} or not asking.hostname:
        return False
    usual = {"http": 80, "https": 443}[asking.scheme]
    name, asked = _name(host), _port(host)
    return asking.hostname == name and (port or usual) == (asked or usual)


def _name(host: str) -> str:
    """A host without its port, in lower case; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def _port(host: str) -> int | None:
    port = host.rpartition("]")[2].partition(":")[2]
    return int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else None


def _is_loopback(name: str) -> bool:
    address = _address(name)
    if address is not None:
        return address.is_loopback
    return name == "localhost" or name.endswith(".localhost")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def hosts_of(listening_on: str, allowed: Collection[str]) -> tuple[str, ...]:
    """The hosts a gateway serves: those it was told, else its own names where it has no others.

    Empty is any host: what leads to a machine from outside is not known on it.
    """
    if not allowed and _is_loopback(
        _name(listening_on) if listening_on[:1] == "[" else listening_on
    ):
        return ("localhost",)
    return tuple(allowed)
