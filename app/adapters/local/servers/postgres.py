"""A throw-away PostgreSQL from the server programs of this machine."""

import os
import pwd
import signal
import socket
import struct
import subprocess
from pathlib import Path
from typing import ClassVar

from app.adapters.local.servers.postgres_programs import open_to_everyone, programs
from app.adapters.local.servers.server import LOOPBACK, LocalServer, ServerUnavailable

_UNPRIVILEGED = ("postgres", "nobody")

# Nothing here outlives a crash of the machine, so nothing waits for the disk.
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=200")


class PostgresServer(LocalServer):
    """Listens on 127.0.0.1 and trusts the user `crewline`; as root it runs as somebody else."""

    title: ClassVar[str] = "PostgreSQL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # to PostgreSQL: do not wait for clients

    @property
    def url(self) -> str:
        """Its default database, for SQLAlchemy with asyncpg."""
        return f"postgresql+asyncpg://crewline@{self.address}/postgres"

    def _prepare(self) -> list[str]:
        folder = programs() if self._user() is None else open_to_everyone(programs(), self._home)
        data = self._home / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(folder / "initdb", data)
        options = [*_FAST, f"listen_addresses={LOOPBACK}", "unix_socket_directories="]
        flags = [word for option in options for word in ("-c", option)]
        return [str(folder / "postgres"), "-D", str(data), "-p", str(self.port), *flags]

    def _initialise(self, initdb: Path, data: Path) -> None:
        command = [str(initdb), "-D", str(data), "--username=crewline", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        user, group = self._user() or (None, None)
        if user is not None and group is not None:
            os.chown(self._home, user, group)
        made = subprocess.run(  # noqa: S603
            command,
            cwd=self._home,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            said = (made.stderr or made.stdout).strip().split("\n")[-1]
            raise ServerUnavailable(f"PostgreSQL's data folder cannot be made: {said}")

    def _user(self) -> tuple[int, int] | None:
        if os.geteuid() != 0:
            return None
        for name in _UNPRIVILEGED:
            try:
                found = pwd.getpwnam(name)
            except KeyError:
                continue
            return found.pw_uid, found.pw_gid
        raise ServerUnavailable("PostgreSQL does not run as root, and there is no user `nobody`.")

    def _answers(self) -> bool:
        """Log in, as the port is open before the database is."""
        words = struct.pack(">i", 196608) + b"user\0crewline\0database\0postgres\0\0"
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(struct.pack(">i", len(words) + 4) + words)
                return connection.recv(1) == b"R"
        except OSError:
            return False
