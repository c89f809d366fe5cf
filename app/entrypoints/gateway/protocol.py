"""HTTP that is broken before it reaches the application gets a problem document as well.

Give it to uvicorn as `http=`.
"""

import asyncio
import contextlib
import secrets
import sys
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.entrypoints.gateway.problems import Problem

if sys.platform != "win32":
    import fcntl
    import termios

_LONGEST_HEAD = 65_536
_HEAD_SECONDS = 30.0
"""How long a client may take to send a head, the first one from when it connects."""


_WRITE_SECONDS = 30.0
_WRITE_BYTES = 30_000
"""A client that does not take so many bytes in so many seconds, while more wait for it, is gone."""


class ProblemHttpProtocol(HttpToolsProtocol):
    """Refuses what is no HTTP, and heads without an end, which the parser would collect.

    Lets nobody hold an answer for ever by not reading it.
    """

    _written_by: asyncio.TimerHandle | None = None
    _unwritten = 0
    _head_complete = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self._was_written()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_complete or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > _LONGEST_HEAD:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            detail = f"the request's head is larger than {_LONGEST_HEAD} bytes"
            self._refuse(Problem(status, "head-too-large", detail))

    def on_message_begin(self) -> None:
        self._head_complete, self._head_bytes = False, 0
        self._head_came()
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_complete = True
        self._head_came()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_writing()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._was_written()

    def _await_writing(self) -> None:
        self._unwritten = _unread_bytes(self.transport)
        self._written_by = self.loop.call_later(_WRITE_SECONDS, self._unread)

    def _was_written(self) -> None:
        if self._written_by:
            self._written_by.cancel()

    def _unread(self) -> None:
        """Called where the buffer of a connection has been full for a while."""
        if _unread_bytes(self.transport) > self._unwritten - _WRITE_BYTES:
            self.transport.abort()
        else:
            self._await_writing()

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(_HEAD_SECONDS, self._too_slow)

    def _head_came(self) -> None:
        if self._deadline:
            self._deadline.cancel()

    def _too_slow(self) -> None:
        asked: RequestResponseCycle | None = self.cycle
        answering = asked is not None and not asked.response_complete
        if self._head_complete or answering:  # nothing was asked, or there is no room for an answer
            self.transport.close()
            return
        detail = f"the request's head did not arrive within {_HEAD_SECONDS:.0f} seconds"
        self._refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail, retryable=True))

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(HTTPStatus.BAD_REQUEST, "malformed", msg))

    def _refuse(self, problem: Problem) -> None:
        response = problem.response("/", secrets.token_hex(16))
        status = HTTPStatus(problem.status)
        head = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"connection: close"]
        head += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + bytes(response.body))
        self.transport.close()


def _unread_bytes(transport: asyncio.Transport) -> int:
    """What the other side has not taken: in our buffer, and in the kernel's, which is larger."""
    sent = bytearray(4)
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # the socket is closed
            fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, sent)
    return transport.get_write_buffer_size() + int.from_bytes(sent, sys.byteorder)
