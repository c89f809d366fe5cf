"""A representation and its ETag, so that a client that has it need not get it again."""

from collections.abc import Mapping
from hashlib import blake2b
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from app.entrypoints.gateway.negotiation import JSON


def etag_of(body: bytes) -> str:
    """A strong validator: another body has another one."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


def conditional(
    request: Request, body: bytes, headers: Mapping[str, str], media_type: str = JSON
) -> Response:
    """200 with the body, or 304 for a client that has just this one."""
    etag = etag_of(body)
    headers = {"ETag": etag, "Cache-Control": "no-cache", **headers}
    if _has(request.headers.getlist("if-none-match"), etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


def _has(headers: list[str], etag: str) -> bool:
    """Compared weakly, as RFC 9110 §13.1.2 says for this header."""
    known = [each.strip().removeprefix("W/") for header in headers for each in header.split(",")]
    return etag in known or "*" in known
