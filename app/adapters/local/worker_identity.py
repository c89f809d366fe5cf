"""Who a worker is: a name no two workers share, and the same one again after a restart.

The broker gives a worker that comes back under its old name its old partitions at once. Two
workers under one name would push each other out, so a name is held for the life of the process:
by a lock on a file, and on Linux by a socket's name too, which workers also share that share a
host's name and network but no files, such as the containers of one pod. The system frees both
when the process ends, however it ends. Projectors have names of their own by the same means.
"""

import errno
import hashlib
import os
import re
import secrets
import socket
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from app.domain.model.errors import Conflict
from app.domain.model.ids import WorkerId

if sys.platform != "win32":
    import fcntl

_MOST = 10_000
"""Ordinals there are on one machine."""


class WorkerIdTaken(Conflict):
    """Another worker on this machine has this identity."""

    code = "worker-id-taken"


@dataclass(slots=True)
class WorkerIdentity:
    """A worker's name, held until it is released or the process ends."""

    id: WorkerId
    stable: bool
    """Whether a restarted worker will have this name again."""
    _held: ExitStack = field(default_factory=ExitStack, repr=False)

    def release(self) -> None:
        """Let another worker have the name."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class _Taken(Exception):
    """Somebody else holds the name."""


def claim_worker_identity(
    given: str | None = None, folder: Path | None = None, *, among: str = "worker"
) -> WorkerIdentity:
    """The given name; else a pod's own, where it ends in an ordinal; else host name and ordinal.

    The ordinal is the lowest that no running worker of this machine holds. Raises `WorkerIdTaken`
    where a given name is held. Where nothing can be held, an invented name keeps workers apart.
    Only `among` each other do processes need different names.
    """
    host = _host()
    pod = os.environ.get("POD_NAME") or host
    if given is None and _in_kubernetes() and re.search(r"-\d+$", pod):
        given = pod  # a stateful set's: the cluster keeps it unique
    folder = _usable(folder or Path(tempfile.gettempdir()) / "crewline")
    if given is not None:
        held = _hold(among, given, folder)
        if held is None:
            raise WorkerIdTaken(f"another {among} on this machine is called {given!r}")
        return WorkerIdentity(WorkerId(given), stable=True, _held=held)
    if folder is None and sys.platform != "linux":
        return WorkerIdentity(WorkerId(f"{host}-{secrets.token_hex(4)}"), stable=False)
    for ordinal in range(_MOST):
        name = f"{host}-{ordinal}"
        held = _hold(among, name, folder)
        if held is not None:
            return WorkerIdentity(WorkerId(name), stable=True, _held=held)
    raise WorkerIdTaken(f"all {_MOST} identities of this machine are taken")


def _host() -> str:
    return socket.gethostname().lower() or "localhost"


def _in_kubernetes() -> bool:
    return "POD_NAME" in os.environ or "KUBERNETES_SERVICE_HOST" in os.environ


def _usable(folder: Path) -> Path | None:
    """The folder, or None where it cannot hold locks; one we make is open to every user."""
    if sys.platform == "win32":
        return None
    with suppress(OSError):
        folder.mkdir(parents=True)
        folder.chmod(0o1777)
    return folder if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else None


def _hold(among: str, name: str, folder: Path | None) -> ExitStack | None:
    """What holds the name until it is closed, or None where somebody else holds it."""
    with ExitStack() as held:
        try:
            if sys.platform == "linux":
                held.enter_context(_bind(among, name))
            if folder is not None:
                held.callback(os.close, _lock(folder, f"{among}-{name}"))
                held.callback(os.close, _watch(folder))
        except _Taken:
            return None
        return held.pop_all()


def _bind(among: str, name: str) -> socket.socket:
    """A socket with a name in the kernel's own list, not in any folder."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0crewline-{among}-{hashlib.sha256(name.encode()).hexdigest()}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            holder.close()
            raise _Taken from error
    return holder


def _lock(folder: Path, name: str) -> int:
    """The descriptor of a locked file."""
    file = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.lock"
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:  # another user's file, or no file at all: not ours to have
        raise _Taken from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise _Taken from error
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _watch(folder: Path) -> int:
    """A shared lock on the folder: while it is held, systemd tidies no old files away."""
    around = os.open(folder, os.O_RDONLY)
    with suppress(OSError):
        fcntl.flock(around, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return around
