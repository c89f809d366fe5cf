"""A disk that is full for a while: the database itself refuses whatever would make it larger.

There is nothing to mount. SQLite is told that it may have no more pages than it has
(`max_page_count`), and says `SQLITE_FULL`. PostgreSQL's sessions are told that no file may grow
(`RLIMIT_FSIZE`): it ignores the signal, so that this works like a full disk, and says "could not
extend file". Its log of writes has room of its own: sessions leave writing it to the server, which
has no limit, and do not wait for that as they do otherwise. Both keep what they have, and can be
read.
"""

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.adapters.local.servers.postgres import PostgresServer

FULL_DISK = "CHAOS_FULL_DISK"
"""Names a file: as long as it is there the disk is full. Each refused write adds a line."""
_ALL = 1_073_741_823
_TRANSACTION = 0.3
"""Seconds in which those end that wait for the log of writes by themselves."""
_REFUSALS = ("disk is full", "could not extend file")


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk the views are on."""

    flag: Path
    views: PostgresServer | Path
    """The database's server, or the file of SQLite."""

    @property
    def can_be_filled(self) -> bool:
        return isinstance(self.views, Path) or shutil.which("prlimit") is not None

    def fill(self) -> None:
        if isinstance(self.views, Path):
            _give_back_what_is_free(self.views)
            self.flag.touch()
        else:
            self.flag.touch()
            time.sleep(_TRANSACTION)
            _limit_files(self.views, "0")

    def free(self) -> int:
        """There is room again; how many writes were refused meanwhile."""
        if isinstance(self.views, PostgresServer) and self.views.alive:
            _limit_files(self.views, "unlimited")
        refused = len(self.flag.read_text().splitlines()) if self.flag.exists() else 0
        self.flag.unlink(missing_ok=True)
        return refused


def _give_back_what_is_free(file: Path) -> None:
    """Pages that rows have left would be filled again before any more are asked for."""
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as database:
        database.execute("VACUUM")


def _limit_files(server: PostgresServer, largest: str) -> None:
    """For sessions, and those to come; what keeps the log of writes has room of its own."""
    postmaster = Path(f"/proc/{server.pid}")
    sessions = (postmaster / "task" / str(server.pid) / "children").read_text().split()
    # first the one that all new sessions have their limits from
    for pid in [str(server.pid), *sessions]:
        process = Path("/proc") / pid
        try:
            owner = process.stat()
            if largest == "0" and pid in sessions and b"127.0.0.1" not in _title(process):
                continue
        except FileNotFoundError:
            continue
        # as its own user: not even root may do it where it has no such capability
        done = subprocess.run(
            ["prlimit", "--pid", pid, f"--fsize={largest}:unlimited"],
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[],
            check=False,
            capture_output=True,
        )
        if process.exists():
            done.check_returncode()


def _title(process: Path) -> bytes:
    return (process / "cmdline").read_bytes()


def install(flag: Path) -> None:
    """Have the databases this process opens mind the flag."""
    from sqlalchemy import Connection, Engine, event  # noqa: PLC0415  only this process
    from sqlalchemy.engine import ExceptionContext  # noqa: PLC0415

    def mind_the_flag(connection: Connection) -> None:
        full = flag.exists()
        if connection.dialect.name == "postgresql" and full:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        if connection.dialect.name == "sqlite" and connection.info.get(flag, False) != full:
            connection.info[flag] = full
            # as many as there are, for fewer are never allowed
            connection.exec_driver_sql(f"PRAGMA max_page_count = {1 if full else _ALL}")

    def note(context: ExceptionContext) -> None:
        said = str(context.original_exception)
        if any(refusal in said for refusal in _REFUSALS):
            # never made anew: it is gone when there is room again
            with suppress(FileNotFoundError), flag.open("r+") as refusals:
                refusals.seek(0, os.SEEK_END)
                refusals.write(f"{said.splitlines()[0]}\n")

    listen: Any = event.listen  # untyped
    listen(Engine, "begin", mind_the_flag)
    listen(Engine, "handle_error", note)
