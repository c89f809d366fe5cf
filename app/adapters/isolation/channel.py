"""The child's end of the socket to its worker: calls from any thread, answers by a thread."""

import asyncio
import itertools
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any

from app.adapters.isolation.errors import restored
from app.adapters.isolation.frames import Frame, packed, receive_frame


class Channel:
    """Ends the process when the worker is gone: there is nobody left to work for."""

    def __init__(self, sock: socket.socket, most: int | None = None) -> None:
        """A message of more than `most` bytes is not sent."""
        self._most = most
        self._sock = sock
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._calls: dict[int, Future[Any]] = {}
        self._listeners: dict[int, Callable[[str], None]] = {}
        threading.Thread(target=self._receive, name="from-worker", daemon=True).start()

    def send(self, frame: Frame) -> None:
        """Raise `FrameTooLarge` where the worker would not read it."""
        sent = packed(frame, self._most)
        with self._sending, suppress(ConnectionError):  # then the receiving thread ends it all
            self._sock.sendall(sent)

    def ask_now(self, call: str, **arguments: object) -> Any:
        """What the worker answers; blocks the thread, so only for what it answers at once."""
        return self._call(next(self._numbers), call, arguments).result()

    async def ask(
        self, call: str, on_text: Callable[[str], None] | None = None, **arguments: object
    ) -> Any:
        """What the worker answers, with the text that comes before that; cancelling takes it back.

        Raises what the worker's side raised.
        """
        number = next(self._numbers)
        if on_text is not None:
            loop = asyncio.get_running_loop()
            self._listeners[number] = lambda text: _soon(loop, on_text, text)
        try:
            return await asyncio.wrap_future(self._call(number, call, arguments))
        except asyncio.CancelledError:
            self.send({"forget": number})
            raise
        finally:
            self._listeners.pop(number, None)

    def _call(self, number: int, call: str, arguments: dict[str, object]) -> Future[Any]:
        answer: Future[Any] = Future()
        self._calls[number] = answer
        self.send({"call": call, "number": number, "arguments": arguments})
        return answer

    def _receive(self) -> None:
        while (frame := receive_frame(self._sock)) is not None:
            number = frame["number"]
            if "text" in frame:
                if listener := self._listeners.get(number):
                    listener(frame["text"])
                continue
            answer = self._calls.pop(number)
            with suppress(InvalidStateError):  # it was taken back meanwhile
                if "error" in frame:
                    answer.set_exception(restored(frame["error"]))
                else:
                    answer.set_result(frame["value"])
        os._exit(1)


def _soon(loop: asyncio.AbstractEventLoop, hear: Callable[[str], None], text: str) -> None:
    loop.call_soon_threadsafe(hear, text)
