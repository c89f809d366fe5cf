"""Child processes, forked from a server that is kept warm."""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from app.adapters.isolation.child import Assignment
from app.adapters.isolation.frames import packed, packed_bytes, read_frame
from app.domain.model.errors import Unavailable

_SERVER = "app.adapters.isolation.server"
_UNKNOWN = 255


_Birth = tuple[int, "asyncio.Future[int]"]
"""A child's process id, and its exit code to come."""


class NoChild(Unavailable):
    """The server of child processes took no more, or ended; the next child has a new one."""

    code = "isolation-unavailable"


@dataclass(eq=False, slots=True)
class Child:
    """A process that runs one task."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ended: "asyncio.Future[int]" = field(repr=False)
    """Its exit code; negative for the signal that killed it."""

    def send(self, number: signal.Signals) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def end(self) -> int:
        """Kill what is left of it; its exit code."""
        self.send(signal.SIGKILL)
        self.writer.close()
        return await self.ended


@dataclass(eq=False, slots=True)
class _Server:
    control: socket.socket
    process: "subprocess.Popen[bytes]"
    listening: "asyncio.Task[None]" = field(init=False)
    expected: "deque[asyncio.Future[_Birth]]" = field(default_factory=deque)
    alive: "dict[int, asyncio.Future[int]]" = field(default_factory=dict)
    ending: bool = False
    """Whether it takes no more: it has ended, or is about to."""

    async def listen(self) -> None:
        """Hear of children that are born and that end, until the server is gone."""
        reader, writer = await asyncio.open_connection(sock=self.control.dup())
        try:
            while (frame := await read_frame(reader)) is not None:
                if "born" in frame:
                    ended = asyncio.get_running_loop().create_future()
                    self.alive[frame["born"]] = ended
                    born = self.expected.popleft()
                    if not born.done():
                        born.set_result((frame["born"], ended))
                else:
                    self.alive.pop(frame["ended"]).set_result(frame["code"])
        finally:
            self.ending = True
            writer.close()
            self.control.close()
            for born in self.expected:
                if not born.done():
                    born.set_exception(NoChild("the server of isolated runs ended"))
            for ended in self.alive.values():
                ended.set_result(_UNKNOWN)  # they are killed with it
            self.process.kill()  # it has nobody to work for any more
            await asyncio.to_thread(self.process.wait)


class Children:
    """Starts children; `preload` names modules, or functions as `module:function`, once for all."""

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self._preload = list(dict.fromkeys(preload))
        self._server: _Server | None = None

    async def warm_up(self) -> None:
        """Return once everything is imported and children come at once; raises `NoChild`."""
        ours, born = self._asked()
        ours.close()
        _, ended = await born
        await ended

    async def start(self, assignment: Assignment) -> Child:
        """A child that does this; the first one waits for the server. Raises `NoChild`."""
        ours, born = self._asked()
        writer = None
        try:
            reader, writer = await asyncio.open_connection(sock=ours)
            writer.write(packed_bytes(pickle.dumps(assignment)))
            pid, ended = await born
        except BaseException:
            (writer or ours).close()  # a child that nobody speaks to ends
            raise
        return Child(pid, reader, writer, ended)

    async def close(self) -> None:
        """End the server, and with it every child."""
        if self._server is not None:
            self._server.listening.cancel()
            await asyncio.wait({self._server.listening})

    def _asked(self) -> tuple[socket.socket, "asyncio.Future[_Birth]"]:
        server = self._running()
        ours, theirs = socket.socketpair()
        born: asyncio.Future[_Birth] = asyncio.get_running_loop().create_future()
        with theirs:
            try:
                socket.send_fds(server.control, [b"+"], [theirs.fileno()])
            except OSError as error:  # it has just ended, or has too much to do
                ours.close()
                raise NoChild(f"the server of isolated runs takes no more: {error}") from error
        server.expected.append(born)
        return ours, born

    def _running(self) -> _Server:
        if self._server is None or self._server.ending or self._server.listening.done():
            self._server = self._started()
        return self._server

    def _started(self) -> _Server:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: S603  # ourselves
                [sys.executable, "-m", _SERVER, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # a terminal's Ctrl-C is for the worker
                # a fork keeps one thread: libraries shall not make others when they are imported
                env={"OPENBLAS_NUM_THREADS": "1", **os.environ},
            )
        ours.sendall(packed({"path": sys.path, "preload": self._preload, "worker": os.getpid()}))
        server = _Server(ours, process)
        server.listening = asyncio.create_task(server.listen())
        return server
