"""The outermost layer: what nobody foresaw becomes a clean answer and one line in the log."""

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.entrypoints.gateway.draining import Draining
from app.entrypoints.gateway.problems import internal
from app.entrypoints.gateway.services import GatewayServices
from app.entrypoints.gateway.tracing import trace_id

HEAD = "crewline.head"
"""In a scope whose request was a HEAD: it is answered as GET, and the server drops the body."""

_log = structlog.get_logger(__name__)


class LastResort:
    """Answers 500 without a word about the inside, and HEAD wherever GET is answered.

    Once the gateway is to stop, each answer is the last one on its connection.
    """

    def __init__(self, app: ASGIApp, services: GatewayServices, draining: Draining) -> None:
        self._app = app
        self._services = services
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", HEAD: True}
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(raw=message["headers"])
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                if self._draining.announced:
                    headers["Connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            return
        except Exception:  # noqa: BLE001 - here it must end, and it is logged
            quoted = trace_id(scope, self._services.current_trace_id)
            _log.exception(
                "request failed", method=scope["method"], path=scope["path"], trace_id=quoted
            )
            if not started:
                await internal().response(scope["path"], quoted)(scope, receive, answer)
