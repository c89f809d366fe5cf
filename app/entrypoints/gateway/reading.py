"""From a request to the task it asks for."""

import asyncio
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from app.domain.model.agents import AgentCatalog
from app.domain.model.commands import CancelRequest, TaskRequest
from app.domain.model.ids import AgentName
from app.entrypoints.gateway.json_text import read_json
from app.entrypoints.gateway.negotiation import JSON
from app.entrypoints.gateway.problems import Problem, Violation, invalid, malformed
from app.entrypoints.gateway.violations import in_body

Asked = TypeVar("Asked", bound=BaseModel)

IDEMPOTENCY_KEY = r"^[!-~]([ -~]{0,253}[!-~])?$"
"""1 to 255 printable ASCII characters."""
_MOST_MEMBERS = 100
"""Members of an object that has fields of ours: none has as many."""
_FREE = frozenset({"input", "parameters", "value"})
"""Fields whose objects may have any members."""
_READ_SECONDS = 30.0
"""How long a client may take to send a body."""


async def read_task_request(request: Request, catalog: AgentCatalog) -> TaskRequest:
    """The task a body asks for; raise a `Problem` saying what is wrong with it."""
    _require_json(request)
    body, left_out = _thinned(*read_json(await _body(request)), TaskRequest)
    try:
        return TaskRequest.model_validate_json(body)
    except ValidationError as error:
        errors = _errors(error)
    for each in errors:
        if each["loc"] == ("agent",) and isinstance(each["input"], str):
            catalog.require(AgentName(each["input"]))  # no agent has such a name; it says which are
    raise invalid(in_body(errors, TaskRequest.model_fields), len(errors) + left_out)


async def read_cancel_request(request: Request) -> CancelRequest:
    """What a body says about a cancel, if there is one; raise a `Problem` for a wrong one."""
    return await read_optional(request, CancelRequest)


async def read_optional(request: Request, kind: type[Asked]) -> Asked:
    """What a body asks for; without one, what is meant by default. Raise a `Problem`."""
    body = await _body(request)
    if not body.strip():
        return kind()
    _require_json(request)
    body, left_out = _thinned(*read_json(body), kind)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        errors = _errors(error)
    raise invalid(in_body(errors, kind.model_fields), len(errors) + left_out)


def idempotency_key(request: Request) -> str | None:
    """The key that makes a submit repeatable; raise a `Problem` for one that cannot serve."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(set(keys)) > 1:
        raise invalid([Violation(header="Idempotency-Key", detail="is given more than once")])
    key = keys[0].strip()
    if not re.fullmatch(IDEMPOTENCY_KEY, key):
        detail = "must be 1 to 255 printable ASCII characters"
        raise invalid([Violation(header="Idempotency-Key", detail=detail)])
    return key


async def _body(request: Request) -> bytes:
    try:
        async with asyncio.timeout(_READ_SECONDS):
            return await request.body()
    except TimeoutError:
        detail = f"the body did not arrive within {_READ_SECONDS:.0f} seconds"
        headers = {"Connection": "close"}
        status = HTTPStatus.REQUEST_TIMEOUT
        raise Problem(status, "request-timeout", detail, retryable=True, headers=headers) from None


def _thinned(body: bytes, value: Any, kind: type[BaseModel]) -> tuple[bytes, int]:
    """A body with far fewer wrong members, where an object has more than fit, and how many fewer.

    To find each of them wrong takes far longer than to read it, and few are told of.
    """
    if not isinstance(value, dict):
        return body, 0
    known = [name for name in kind.model_fields if name in value]
    crowded = {
        name: dict(islice(inner.items(), _MOST_MEMBERS))
        for name, inner in value.items()
        if name not in _FREE and isinstance(inner, dict) and len(inner) > _MOST_MEMBERS
    }
    left_out = sum(len(value[name]) - len(inner) for name, inner in crowded.items())
    if len(value) > _MOST_MEMBERS:
        names = dict.fromkeys([*known, *islice(value, _MOST_MEMBERS)])
        left_out += len(value) - len(names)
    elif crowded:
        names = dict.fromkeys(value)
    else:
        return body, 0
    return json.dumps({name: crowded.get(name, value[name]) for name in names}).encode(), left_out


def _errors(error: ValidationError) -> list[ErrorDetails]:
    """What does not fit; a 400 `Problem` for half a character, which Python's reader lets pass."""
    errors = error.errors(include_url=False, include_context=False)
    if errors[0]["type"] == "json_invalid":
        said = errors[0]["msg"].removeprefix("Invalid JSON: ")
        raise malformed(f"the body is not JSON: {said}")
    return errors


def _require_json(request: Request) -> None:
    sent = request.headers.get("content-type", "")
    media_type, *parameters = (part.strip().lower() for part in sent.split(";"))
    family, _, kind = media_type.partition("/")
    if family != "application" or (kind != "json" and not kind.endswith("+json")):
        said = f"{media_type[:100]!r} is not JSON" if media_type else "the body's type is not said"
        raise _unsupported(f"{said}; send `Content-Type: application/json`", {"Accept": JSON})
    stated = dict(part.split("=", 1) for part in parameters if "=" in part)
    charset = stated.get("charset", "").strip('"')
    if charset not in {"", "utf-8", "utf8", "us-ascii"}:
        raise _unsupported(f"JSON is sent as UTF-8, not {charset[:40]!r}", {"Accept": JSON})
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        detail = f"a body in {encoding[:40]!r} is not taken; send it uncompressed"
        raise _unsupported(detail, {"Accept-Encoding": "identity"})


def _unsupported(detail: str, taken: Mapping[str, str]) -> Problem:
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    return Problem(status, "unsupported-media-type", detail, headers=taken)
