"""The HTTP/1.1 connection: what is ambiguous, too large or too slow is refused with a problem.

Give it to uvicorn as `http=`. The parser decides what a message is; here stands what it lets pass
and another server in front of ours may read in another way, and how long each part may take.
"""

import asyncio
import contextlib
import re
import secrets
import sys
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.entrypoints.gateway.problems import Problem, malformed

if sys.platform != "win32":
    import fcntl
    import termios

_LONGEST_HEAD = 65_536
_LONGEST_HEADER = 16_384
"""Bytes of one header, its name included."""
_MOST_HEADERS = 100
_MOST_WAITING = 100
"""Requests of one connection that may wait while an earlier one is answered."""
_HEAD_SECONDS = 30.0
"""How long a client may take to send a head, the first one from when it connects."""
_WRITE_SECONDS = 30.0
_WRITE_BYTES = 30_000
"""A client that does not take so many bytes in so many seconds, while more wait for it, is gone."""
_LINGER_SECONDS = 2.0
"""How long a closing connection is still read: closed over unread bytes it would be reset, and the
client might lose our last words."""
_PIECE = 8_192
"""Bytes the parser gets at once, so that a limit is noticed soon after it is passed."""
_FRAMING = 8
"""Bytes that may come around one byte of a body: a chunk of one byte has five."""

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)


class _Refused(Exception):
    """Raised through the parser, which then takes no more."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class _Expecting(Enum):
    """What the next byte belongs to."""

    MESSAGE = auto()
    HEAD = auto()
    BODY = auto()
    NOTHING = auto()
    """It is read and forgotten: our last answer is written."""


class ProblemHttpProtocol(HttpToolsProtocol):
    """One connection, and the requests that come by it."""

    _expecting = _Expecting.MESSAGE
    _since = 0
    """Bytes since the message or its body began, those of the body itself left out."""
    _head_bytes = 0
    _body_bytes = 0
    _unanswered = 0
    """Requests that are being answered or wait for that."""
    _refusal: Problem | None = None
    """What is still to be said when all before it is answered."""
    _deadline: asyncio.TimerHandle | None = None
    _written_by: asyncio.TimerHandle | None = None
    _unwritten = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_GentleTransport(transport, self))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expecting = _Expecting.NOTHING
        self._stop_waiting()
        self._was_written()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            if self._expecting is _Expecting.NOTHING:
                return
            self._parse(data[start : start + _PIECE])

    def _parse(self, piece: bytes) -> None:
        self._since += len(piece)
        try:
            self._feed(piece)
            self._refuse_endless()
        except httptools.HttpParserError as error:
            # the parser hides what a callback raised behind an error of its own
            refused = error if isinstance(error, _Refused) else error.__context__
            known = isinstance(refused, _Refused)
            self._refuse(refused.problem if known else malformed("this is no HTTP request"))  # type: ignore[union-attr]
        except _Refused as refused:
            self._refuse(refused.problem)

    def _feed(self, piece: bytes) -> None:
        """Have it parsed: who asks for another protocol is answered in this one."""
        while piece:
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                piece = piece[upgrade.args[0] :]
            else:
                return

    def _refuse_endless(self) -> None:
        if self._expecting is _Expecting.BODY:
            if self._since > _LONGEST_HEAD + _FRAMING * self._body_bytes:
                raise _Refused(malformed("there is far more around the body's chunks than in them"))
        elif self._since > _LONGEST_HEAD:
            raise _Refused(_too_large(f"the request's head is larger than {_LONGEST_HEAD} bytes"))

    # --- what the parser tells -------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._expecting, self._since, self._head_bytes = _Expecting.HEAD, 0, 0
        self._unset_keepalive_if_required()
        self._await_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._expecting is not _Expecting.HEAD:
            return  # a trailer: what stands behind a body changes nothing of its request
        if len(name) + len(value) > _LONGEST_HEADER:
            said = f"the header {name[:60].decode('latin-1')}"
            raise _Refused(_too_large(f"{said} is larger than {_LONGEST_HEADER} bytes"))
        if len(self.headers) == _MOST_HEADERS:
            raise _Refused(_too_large(f"there are more than {_MOST_HEADERS} headers"))
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _count(self, number: int) -> None:
        self._head_bytes += number
        if self._head_bytes > _LONGEST_HEAD:
            raise _Refused(_too_large(f"the request's head is larger than {_LONGEST_HEAD} bytes"))

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._refuse_ambiguous()
        if self._unanswered > _MOST_WAITING:
            raise _Refused(malformed(f"over {_MOST_WAITING} requests wait for their answers"))
        super().on_headers_complete()
        self._unanswered += 1
        self._expecting, self._since, self._body_bytes = _Expecting.BODY, 0, 0

    def on_body(self, body: bytes) -> None:
        self._since -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._expecting, self._since = _Expecting.MESSAGE, 0
        super().on_message_complete()

    def _refuse_ambiguous(self) -> None:
        """Raise for a head that two servers could read in two ways (RFC 9112)."""
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            status = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
            detail = f"HTTP/1.1 is spoken here, not HTTP/{version}"
            raise _Refused(Problem(status, "http-version-not-supported", detail))
        codings = self._sent(b"transfer-encoding")
        if codings and (version == "1.0" or [each.lower() for each in codings] != [b"chunked"]):
            detail = "no Transfer-Encoding is taken but `chunked`, once, in HTTP/1.1"
            raise _Refused(Problem(HTTPStatus.NOT_IMPLEMENTED, "not-implemented", detail))
        hosts = self._sent(b"host")
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            raise _Refused(malformed(f"there are {len(hosts)} Host headers; HTTP/1.1 needs one"))
        if hosts and not _HOST.fullmatch(hosts[0]):
            raise _Refused(malformed("the Host header is no host"))
        if any(each.lower() != b"100-continue" for each in self._sent(b"expect")):
            detail = "nothing can be expected here but `100-continue`"
            raise _Refused(Problem(HTTPStatus.EXPECTATION_FAILED, "expectation-failed", detail))
        self._take_target(hosts)

    def _take_target(self, hosts: list[bytes]) -> None:
        """Leave path and query of the target, whose host may stand in it instead of a header."""
        if absolute := _ABSOLUTE.fullmatch(self.url):
            if hosts and absolute[1].lower() != hosts[0].lower():
                raise _Refused(malformed("the target names another host than the Host header"))
            self.url = absolute[2] if absolute[2][:1] == b"/" else b"/" + absolute[2]
        if b"#" in self.url or (self.url[:1] != b"/" and self.url != b"*"):
            raise _Refused(malformed("the target is not a path with a query, such as /v1/tasks"))

    def _sent(self, wanted: bytes) -> list[bytes]:
        return [value.strip(b" \t") for name, value in self.headers if name == wanted]

    # --- time ------------------------------------------------------------------------------------

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
        self._stop_waiting()
        self._deadline = self.loop.call_later(_HEAD_SECONDS, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._deadline:
            self._deadline.cancel()

    def _too_slow(self) -> None:
        if self._expecting is not _Expecting.HEAD or self._unanswered:
            self.transport.close()  # nothing was asked, or there is no room for an answer
            return
        detail = f"the request's head did not arrive within {_HEAD_SECONDS:.0f} seconds"
        self._refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail, retryable=True))

    # --- the last words --------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """The time for the next request has begun, and only its first byte ends it.

        So a body that drips on behind its answer holds no connection, nor do empty lines.
        """
        self._unanswered -= 1
        super().on_response_complete()
        if self._refusal and not self._unanswered:
            self._say(self._refusal)
        elif self.pipeline:
            self.flow.pause_reading()

    def _refuse(self, problem: Problem) -> None:
        """Take no more, and say why where the answer to what was refused belongs."""
        broken = self.cycle if self._expecting is _Expecting.BODY else None
        self._expecting = _Expecting.NOTHING
        self._stop_waiting()
        if broken is not None and not broken.response_complete:
            if self.pipeline and self.pipeline[0][0] is broken:
                self.pipeline.popleft()
                self._unanswered -= 1
            else:
                started = broken.response_started
                broken.disconnected = True
                broken.message_event.set()
                if started:
                    self.transport.close()
                    return
                self._unanswered = 0
        if self._unanswered:
            self._refusal = problem
        else:
            self._say(problem)

    def _say(self, problem: Problem) -> None:
        self._refusal = None
        if self.transport.is_closing():
            return
        response = problem.response("/", secrets.token_hex(16))
        status = HTTPStatus(problem.status)
        head = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"connection: close"]
        head += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + bytes(response.body))
        self._expecting = _Expecting.NOTHING
        self.transport.close()

    def forget_the_rest(self) -> bool:
        """Whether bytes may still come that belong to what was asked; from now on none counts."""
        unread = self._expecting in {_Expecting.BODY, _Expecting.NOTHING}
        self._expecting = _Expecting.NOTHING
        self._stop_waiting()
        return unread


class _GentleTransport(asyncio.Transport):
    """Closes at once where all was read, else only its own side until the other one has."""

    def __init__(self, transport: asyncio.Transport, protocol: ProblemHttpProtocol) -> None:
        super().__init__()
        self._transport = transport
        self._protocol = protocol
        self._closing = False

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if not self._protocol.forget_the_rest() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self._transport.resume_reading()
        self._protocol.loop.call_later(_LINGER_SECONDS, self._transport.close)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._closing:
            self._transport.write(data)

    def pause_reading(self) -> None:
        if not self._closing:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def abort(self) -> None:
        self._closing = True
        self._transport.abort()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


def _unread_bytes(transport: asyncio.Transport) -> int:
    """What the other side has not taken: in our buffer, and in the kernel's, which is larger."""
    sent = bytearray(4)
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # the socket is closed
            fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, sent)
    return transport.get_write_buffer_size() + int.from_bytes(sent, sys.byteorder)


def _too_large(detail: str) -> Problem:
    return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)
