"""What every local server has in common: a port, a folder, a start that waits, a stop that ends."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from app.adapters.local.servers import lifeline
from app.domain.model.errors import Unavailable

LOOPBACK = "127.0.0.1"


class ServerUnavailable(Unavailable):
    """A server could not be started on this machine; the message says what to do."""

    code = "server-unavailable"


class LocalServer(ABC):
    """One server process on 127.0.0.1, for `with` (blocking) and `async with`.

    It runs in a session of its own, so Ctrl-C reaches only its owner, and it ends when its owner
    does, even by SIGKILL. Without a `folder` its data is temporary.
    """

    title: ClassVar[str]
    ready_within: ClassVar[float] = 60
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    grace_seconds: ClassVar[float] = 10

    def __init__(self, port: int | None = None, folder: Path | None = None) -> None:
        self.port = port or free_port()
        self.folder = folder
        self.pid: int | None = None
        """The server's own process, for those who want to pause or kill it."""
        self._temporary: Path | None = None
        self._lifeline: subprocess.Popen[bytes] | None = None
        self._abandoned = False

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """What the server printed."""
        return self._home / f"{self.title.split()[-1].lower()}.log"

    def start(self) -> None:
        """Return once the server answers, else raise `ServerUnavailable`.

        After `kill` it starts again with the same port and data.
        """
        self._abandoned = False
        self._open_folder()
        try:
            refuse_taken(self.title, self.port)
            self._launch(self._prepare())
            self._wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, by force if it does not want to; temporary data goes with it."""
        self._abandoned = True
        self._release(keep=False)
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def kill(self) -> None:
        """End the server as a crash would, and keep its data for the next `start`."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._release(keep=True)

    @property
    def alive(self) -> bool:
        if self.pid is None:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self.start)
        except asyncio.CancelledError:
            self._abandoned = True  # the thread sees it and cleans up
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    @abstractmethod
    def _prepare(self) -> list[str]:
        """Do what comes before the process, and return its command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server serves requests, asked until it does."""

    def _user(self) -> tuple[int, int] | None:
        """The user and group to run as, where it must not be ours."""
        return None

    @property
    def _home(self) -> Path:
        home = self.folder or self._temporary
        if home is None:
            raise ServerUnavailable(f"{self.title} has not been started.")
        return home

    def _open_folder(self) -> None:
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        elif self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="crewline-"))

    def _launch(self, command: list[str]) -> None:
        user, group = self._user() or (None, None)
        order = {
            "command": command,
            "cwd": str(self._home),
            "log": str(self.log),
            "user": user,
            "group": group,
            "stop_signal": int(self.stop_signal),
            "grace_seconds": self.grace_seconds,
            "temporary": None if self._temporary is None else str(self._temporary),
        }
        self._lifeline = subprocess.Popen(  # noqa: S603  # our own program, our own words
            [sys.executable, "-I", "-S", lifeline.__file__, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        stdout = self._lifeline.stdout
        said = stdout.readline().strip() if stdout is not None else b""
        if not said:
            raise ServerUnavailable(f"{self.title} could not be launched: {last_line(self.log)}")
        self.pid = int(said)

    def _wait(self) -> None:
        deadline = time.monotonic() + self.ready_within
        while not self._answers():
            if self._abandoned:
                raise ServerUnavailable(f"{self.title} is not wanted any more.")
            if not self.alive:
                raise ServerUnavailable(f"{self.title} ended while starting: {last_line(self.log)}")
            if time.monotonic() > deadline:
                raise ServerUnavailable(
                    f"{self.title} does not answer on {self.address} after "
                    f"{self.ready_within:.0f} s: {last_line(self.log)}"
                )
            time.sleep(0.02)

    def _release(self, *, keep: bool) -> None:
        """Let go of the lifeline and wait until it has done its duty."""
        process, self._lifeline, self.pid = self._lifeline, None, None
        if process is None:
            return
        with suppress(BrokenPipeError):
            process.communicate(lifeline.KEEP if keep else b"")


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def refuse_taken(title: str, port: int) -> None:
    """Raise `ServerUnavailable` when somebody else has the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ServerUnavailable(
                f"{title} cannot have port {port}: another program listens there."
            ) from error


def accepts(port: int) -> bool:
    """Whether a connection to the port is taken."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def last_line(log: Path) -> str:
    """What a server said last, for a one-line error; the frames of a stack trace say nothing."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    except OSError:
        lines = []
    said = (line for line in reversed(lines) if line and not line.startswith(("at ", "... ")))
    return next(said, "it said nothing.")
