"""How the HTTP gateway is served, and what it refuses."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from app.entrypoints.settings.group import Bytes, Group, Port, Seconds, SecondsOrNone, Texts

_HOST = re.compile(r"\*|(?:\*\.)?[a-z0-9._-]+|[0-9a-f:]*:[0-9a-f:.]*:[0-9a-f:.]*")


def _hosts(names: list[str]) -> list[str]:
    """Host names in lower case, IPv6 addresses without brackets."""
    hosts = [name.lower().strip("[]") for name in names]
    for host, name in zip(hosts, names, strict=True):
        if not _HOST.fullmatch(host):
            raise ValueError(f"{name!r} is no host: give its name without scheme, port or path")
    return hosts


def _origins(origins: list[str]) -> list[str]:
    """As browsers send them: in lower case, without a slash at the end."""
    return [origin.lower().rstrip("/") for origin in origins]


class GatewaySettings(Group):
    """The HTTP gateway."""

    host: str = Field("127.0.0.1", description="Address to listen on; `0.0.0.0` for every one.")
    port: Port = Field(8000, description="Port to listen on; 0 chooses a free one.")
    docs: bool = Field(default=True, description="Whether `/docs` and `/redoc` are served.")
    max_body_bytes: Bytes = Field(1_000_000, description="The largest request body that is read.")
    max_wait_seconds: Seconds = Field(
        60, description="The longest `Prefer: wait=N` that is honoured."
    )
    max_streams: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="How many event streams may be open at one time; one more is refused with 503.",
    )
    max_waiting: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="How many requests may wait for a result at one time (`Prefer: wait`). One "
        "more `GET` is refused with 503; one more `POST` is accepted and answered at once.",
    )
    heartbeat_seconds: Seconds = Field(
        15, description="How often a silent event stream says that it is alive."
    )
    max_backlog: int = Field(
        100_000,
        ge=0,
        le=1_000_000_000_000,
        description="How many tasks of one agent may wait or run before more are refused with "
        "429; an agent's file may name its own `max_backlog`. 0 lets them queue without end.",
    )
    critical_passes_backlog: bool = Field(
        default=False,
        description="Whether tasks of critical priority are taken all the same, from everybody: "
        "without authentication anybody can call a task critical.",
    )
    max_redrives: int = Field(
        3, ge=1, le=1_000, description="How often the message of a dead letter may be sent again."
    )
    allowed_hosts: Annotated[Texts, AfterValidator(_hosts)] = Field(
        default=[],
        description="Hosts the gateway is asked by (`api.example.com`, `*.example.com`), separated "
        "by commas, beside `localhost` and the loopback addresses; others are refused with 421. "
        "Without any it answers to the loopback's names alone where it listens there, else to "
        "every host; `*` is every host.",
    )
    cors_origins: Annotated[Texts, AfterValidator(_origins)] = Field(
        default=[],
        description="Origins whose pages may call the gateway (`https://ui.example.com`), "
        "separated by commas; `*` is every one.",
    )
    linger_seconds: SecondsOrNone = Field(
        3,
        description="How long new requests are still taken after a request to stop, while "
        "readiness says no, so that load balancers notice first.",
    )
    drain_seconds: SecondsOrNone = Field(
        10, description="How long open requests may still take after a request to stop."
    )
