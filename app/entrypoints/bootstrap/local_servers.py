"""The brokers `crewline dev` can start on this machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.adapters.local.servers.kraft import KraftBroker
from app.adapters.local.servers.tansu import TansuBroker


@asynccontextmanager
async def local_broker(kind: str, port: int, data: Path) -> AsyncIterator[None]:
    """Run `embedded` or `kafka` while the context is open; any other kind runs elsewhere."""
    if kind == "embedded":
        async with TansuBroker(port):
            yield
    elif kind == "kafka":
        async with KraftBroker(port, data / "kafka"):
            yield
    else:
        yield
