"""The brokers `crewline dev` can start on this machine."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from app.adapters.local.servers.kraft import KraftBroker
from app.adapters.local.servers.tansu import TansuBroker
from app.domain.model.errors import Unavailable
from app.ports.private_files import make_private_folder

if sys.platform != "win32":
    import fcntl


class FolderInUse(Unavailable):
    """Another `crewline dev` keeps its data in this folder."""

    code = "folder-in-use"


@contextmanager
def alone_in(data: Path) -> Iterator[None]:
    """Keep a data folder to one process; raise `FolderInUse` where another one has it."""
    if sys.platform == "win32":
        yield
        return
    make_private_folder(data)
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(
                f"another crewline dev uses the folder {data}; choose one with --data"
            ) from error
        yield


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
