"""Which of the media types we have a client takes (RFC 9110 §12.5.1)."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.requests import Request

from app.entrypoints.gateway.problems import Problem

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


def chosen(request: Request, offered: Sequence[str] = (JSON,)) -> str:
    """The offered type the client likes best, our order breaking ties; else a 406 `Problem`."""
    accept = ",".join(request.headers.getlist("accept"))
    if not accept.strip(", ") or accept == "*/*":
        return offered[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    best = max(offered, key=lambda offer: _quality(offer, ranges))
    if _quality(best, ranges) > 0:
        return best
    raise Problem(
        HTTPStatus.NOT_ACCEPTABLE,
        "not-acceptable",
        f"this is available as {' or '.join(offered)}; the Accept header takes neither of it"
        if len(offered) > 1
        else f"this is available as {offered[0]} only, which the Accept header excludes",
    )


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return name, quality


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """That of the most specific range the offer falls into."""
    family = offer.partition("/")[0]
    for name in (offer, f"{family}/*", "*/*"):
        matching = [quality for each, quality in ranges if each == name]
        if matching:
            return max(matching)
    return 0.0
