"""A TCP proxy in front of a server: it can cut, delay and swallow what passes. No kernel needed."""

import asyncio
from dataclasses import dataclass, field

_PIECE = 65_536


@dataclass(slots=True)
class Proxy:
    """Listens on `port` and passes on to `to`."""

    port: int
    to: int
    delay: float = 0.0
    """Seconds by which every piece is late, either way."""
    silent: bool = False
    """Connections stay, and nothing passes."""
    refusing: bool = False
    """New connections are cut at once."""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _flows: set["asyncio.Task[None]"] = field(default_factory=set)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for flow in self._flows:
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)

    def cut(self) -> int:
        """Break every connection, as a lost link does; how many there were."""
        count = len(self._open)
        for each in list(self._open):
            each.transport.abort()
        return count // 2

    def heal(self) -> None:
        self.delay, self.silent, self.refusing = 0.0, False, False

    async def _connected(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._flows.add(task)
            task.add_done_callback(self._flows.discard)
        if self.refusing:
            back.transport.abort()
            return
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            back.transport.abort()
            return
        self._open |= {back, onward}
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(here, onward))
                both.create_task(self._pass(there, back))
        except* (ConnectionError, OSError):
            pass
        finally:
            self._open -= {back, onward}
            for each in (back, onward):
                each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            if self.delay:
                await asyncio.sleep(self.delay)
            while self.silent:  # noqa: ASYNC110  # a fault has no event of its own
                await asyncio.sleep(0.05)
            writer.write(piece)
            await writer.drain()
        raise ConnectionResetError("this side is done, so the other one is")
