"""The trace id a caller can quote: the tracer's, else the caller's own, else one made here."""

import re
import secrets
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Scope

_KEY = "crewline.trace_id"
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


def callers_traceparent(scope: Scope) -> str | None:
    """The W3C trace context a request came with, if it is a valid one."""
    sent = Headers(scope=scope).get("traceparent", "")
    return sent if _TRACEPARENT.fullmatch(sent) else None


def trace_id(scope: Scope, current: Callable[[], str | None]) -> str:
    """The trace id of one request, the same however often it is asked for."""
    if _KEY not in scope:
        sent = callers_traceparent(scope)
        scope[_KEY] = current() or (sent.split("-")[1] if sent else secrets.token_hex(16))
    known: str = scope[_KEY]
    return known
