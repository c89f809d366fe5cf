"""Bodies have a largest size, counted as they come, whatever their headers say."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.entrypoints.gateway.problems import too_large

_DISCARD_SECONDS = 10.0
"""How long we go on reading what nobody wants, so that the sender sees our answer and no reset."""


class BodyLimit:
    """Raises a 413 `Problem` in whoever reads too large a body, then closes the connection."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        body = _CountedBody(receive, Headers(scope=scope), self._max_bytes)

        async def answer(message: Message) -> None:
            if not body.exceeded:
                await send(message)
            elif message["type"] == "http.response.start":
                closing = [*message["headers"], (b"connection", b"close")]
                await send({**message, "headers": closing})
            else:
                await send({**message, "more_body": True})
                await body.discard()
                await send({"type": "http.response.body", "body": b""})

        await self._app(scope, body.receive, answer)


class _CountedBody:
    """What is left of one request's body."""

    def __init__(self, receive: Receive, headers: Headers, max_bytes: int) -> None:
        declared = headers.get("content-length", "")
        self.exceeded = declared.isdigit() and int(declared[:20]) > max_bytes
        self._asks_first = "expect" in headers
        self._receive = receive
        self._max_bytes = max_bytes
        self._seen = 0

    async def receive(self) -> Message:
        if not self.exceeded:
            message = await self._receive()
            self._seen += len(message.get("body", b""))
            if self._seen <= self._max_bytes:
                return message
            self.exceeded = True
        raise too_large(f"the body is larger than {self._max_bytes} bytes, the most that is read")

    async def discard(self) -> None:
        """Read the rest and forget it."""
        if self._asks_first and not self._seen:  # it waits for our word before it sends anything
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while (await self._receive()).get("more_body", False):
                    pass
