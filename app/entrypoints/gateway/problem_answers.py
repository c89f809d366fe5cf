"""The failures an operation can answer with, as OpenAPI responses with examples."""

from http import HTTPStatus
from typing import Any

from app.entrypoints.gateway.problems import MEDIA_TYPE

_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_RETRY_AFTER = {"description": "Seconds after which to try again.", "schema": {"type": "integer"}}
_RATE_LIMIT = {"description": "What is left, and when to look again.", "schema": {"type": "string"}}
_SAYS_WHEN: dict[int, dict[str, Any]] = {
    429: {"RateLimit": _RATE_LIMIT},
    503: {},
}

Kind = tuple[str, str, str, bool]
"""Description, code, detail, and whether the same request may succeed later."""

_KINDS: dict[int, Kind] = {
    400: (
        "The body cannot be read.",
        "malformed",
        "the body is not JSON: Expecting ',' delimiter at line 1, column 42",
        False,
    ),
    404: (
        "There is none of that name.",
        "unknown-task",
        "no task 0192f0c1-7b2a-7c3d-8e4f-5a6b7c8d9e0f is known",
        False,
    ),
    405: (
        "The path knows other methods; `Allow` says which.",
        "method-not-allowed",
        "DELETE is not possible at /v1/tasks; there is: GET, HEAD, POST",
        False,
    ),
    406: (
        "The Accept header excludes all there is.",
        "not-acceptable",
        "this is available as application/json only, which the Accept header excludes",
        False,
    ),
    408: (
        "The body took too long to arrive.",
        "request-timeout",
        "the body did not arrive within 30 seconds",
        True,
    ),
    409: (
        "The id belongs to another task, or the same request is being accepted just now.",
        "task-exists",
        "task 0192f0c1-7b2a-7c3d-8e4f-5a6b7c8d9e0f was submitted before with a different request",
        False,
    ),
    413: (
        "The body is larger than the gateway or the broker takes.",
        "payload-too-large",
        "the body is larger than 1000000 bytes, the most that is read",
        False,
    ),
    415: (
        "The body is not sent as JSON.",
        "unsupported-media-type",
        "'text/plain' is not JSON; send `Content-Type: application/json`",
        False,
    ),
    422: (
        "The request can be read and does not fit.",
        "invalid",
        "/inptu: is not known; did you mean 'input'? (and 1 more)",
        False,
    ),
    429: (
        "As many tasks wait for the agent as may. Critical ones are taken all the same.",
        "backlog-full",
        "100000 tasks wait for business-analyst, and 100000 may",
        True,
    ),
    503: (
        "The broker or the store is away; nothing was lost, and trying again is safe.",
        "log-unavailable",
        "the broker does not answer",
        True,
    ),
}

_ERRORS = {
    422: [
        {"pointer": "/input", "detail": "is missing"},
        {"pointer": "/inptu", "detail": "is not known; did you mean 'input'?"},
    ]
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The named failures, and a word on all others."""
    named: dict[int | str, dict[str, Any]] = {status: answer(status) for status in statuses}
    other = {"description": "Any other failure.", "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
    return {**named, "default": other}


def answer(status: int, kind: Kind | None = None) -> dict[str, Any]:
    """One failure: the usual one of its status, unless told otherwise."""
    description, code, detail, retryable = kind or _KINDS[status]
    example = {
        "type": f"urn:crewline:problem:{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": "/v1/tasks",
        "code": code,
        "retryable": retryable,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        **({"errors": _ERRORS[status]} if status in _ERRORS else {}),
    }
    said: dict[str, Any] = {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": _SCHEMA, "example": example}},
    }
    if retryable and status in _SAYS_WHEN:
        said["headers"] = {"Retry-After": _RETRY_AFTER, **_SAYS_WHEN[status]}
    return said


def every_answer() -> dict[str, dict[str, Any]]:
    """All failures, by the name of their component."""
    return {HTTPStatus(status).name.title().replace("_", ""): answer(status) for status in _KINDS}
