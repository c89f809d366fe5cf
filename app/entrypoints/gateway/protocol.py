"""HTTP that is broken before it reaches the application gets a problem document as well.

Give it to uvicorn as `http=`.
"""

import asyncio
import secrets
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.entrypoints.gateway.problems import Problem

_LONGEST_HEAD = 65_536
_HEAD_SECONDS = 30.0
"""How long a client may take to send a head, the first one from when it connects."""


class ProblemHttpProtocol(HttpToolsProtocol):
    """Refuses what is no HTTP, and heads without an end, which the parser would collect."""

    _head_complete = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
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
