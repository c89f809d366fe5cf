"""The views' database for chaos: SQLite in a file, or a PostgreSQL behind a proxy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.adapters.local.servers.postgres import PostgresServer
from app.adapters.local.servers.server import LOOPBACK, free_port
from tests.chaos.history import History, Life
from tests.chaos.proxy import Proxy


@dataclass(frozen=True, slots=True)
class StoreServer:
    """A PostgreSQL that can be killed, started again, cut off and made slow."""

    server: PostgresServer
    proxy: Proxy
    history: History

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://crewline@{LOOPBACK}:{self.proxy.port}/postgres"

    async def kill(self) -> None:
        pid = self.server.pid or 0
        await asyncio.to_thread(self.server.kill)
        self.history.add(Life(name="postgres-1", pid=pid, change="ended"))

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)
        self.history.add(Life(name="postgres-1", pid=self.server.pid or 0, change="started"))

    async def heal(self) -> None:
        self.proxy.heal()
        if not self.server.alive:
            await self.start()


@asynccontextmanager
async def running_postgres(history: History) -> AsyncIterator[StoreServer]:
    server = PostgresServer()
    proxy = Proxy(free_port(), server.port)
    store = StoreServer(server, proxy, history)
    await proxy.start()
    try:
        await store.start()
        yield store
    finally:
        await proxy.stop()
        await asyncio.to_thread(server.stop)


def sqlite_file(folder: Path) -> Path:
    return folder / "views.db"


def sqlite_in(folder: Path) -> str:
    return f"sqlite:///{sqlite_file(folder)}"
