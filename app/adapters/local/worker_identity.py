"""Who a worker is: a name no two workers share, and the same one again after a restart.

The broker gives a worker that comes back under its old name its old partitions at once. Two
workers under one name would push each other out, so a name is held by a lock on a file, which
the system frees when the process ends, however it ends.

Workers that share a host's name but not its files (containers on the host's network) cannot see
each other's locks; such workers are told their names.
"""

import os
import re
import secrets
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
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
    _locks: tuple[int, ...] = ()

    def release(self) -> None:
        """Let another worker have the name."""
        for lock in self._locks:
            os.close(lock)
        self._locks = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def claim_worker_identity(given: str | None = None, folder: Path | None = None) -> WorkerIdentity:
    """The given name; else a pod's own, where it ends in an ordinal; else host name and ordinal.

    The ordinal is the lowest that no running worker of this machine holds. Raises `WorkerIdTaken`
    where a given name is held. Where files cannot be locked, an invented name keeps workers apart.
    """
    host = _host()
    pod = os.environ.get("POD_NAME") or host
    if given is None and _in_kubernetes() and re.search(r"-\d+$", pod):
        given = pod  # a stateful set's: the cluster keeps it unique
    folder = folder or Path(tempfile.gettempdir()) / "crewline"
    if not _usable(folder):
        invented = WorkerId(given or f"{host}-{secrets.token_hex(4)}")
        return WorkerIdentity(invented, stable=given is not None)
    if given is not None:
        locks = _try_lock(folder, given)
        if locks is None:
            raise WorkerIdTaken(f"another worker on this machine is called {given!r}")
        return WorkerIdentity(WorkerId(given), stable=True, _locks=locks)
    for ordinal in range(_MOST):
        name = f"{host}-{ordinal}"
        locks = _try_lock(folder, name)
        if locks is not None:
            return WorkerIdentity(WorkerId(name), stable=True, _locks=locks)
    raise WorkerIdTaken(f"all {_MOST} identities of this machine are taken; see {folder}")


def _host() -> str:
    return socket.gethostname().lower() or "localhost"


def _in_kubernetes() -> bool:
    return "POD_NAME" in os.environ or "KUBERNETES_SERVICE_HOST" in os.environ


def _usable(folder: Path) -> bool:
    """Make the folder, open to every user of the machine, and say whether locks can live there."""
    if sys.platform == "win32":
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    with suppress(OSError):  # somebody else's folder is as open as they made it
        folder.chmod(0o1777)
    return os.access(folder, os.W_OK | os.X_OK)


def _try_lock(folder: Path, name: str) -> tuple[int, ...] | None:
    """The descriptors that hold the name, or None where somebody else has it."""
    file = folder / f"worker-{re.sub(r'[^A-Za-z0-9._-]', '_', name)}.lock"
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # another user's file, or no file at all: not ours to have
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    around = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # while it is held, systemd does not tidy our old files away
        fcntl.flock(around, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return lock, around
