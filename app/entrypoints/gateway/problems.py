"""Every failure as an RFC 9457 problem: the one place where errors become HTTP statuses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.domain.model.errors import (
    Conflict,
    InvalidInput,
    NotAllowed,
    PayloadTooLarge,
    PlatformError,
    Rejected,
    Unavailable,
    UnknownDeadLetter,
    UnknownTask,
)
from app.domain.model.redaction import mask_secrets
from app.domain.use_cases.admit_task import BacklogFull

MEDIA_TYPE = "application/problem+json"
MOST_VIOLATIONS = 20
"""How many places that do not fit are told of; of the others it is said how many there are."""
_LONGEST_PATH = 2_000
_LONGEST_PLACE, _LONGEST_DETAIL = 200, 1_000


class Violation(BaseModel):
    """One place in a request that does not fit, and why. Exactly one of the places is given."""

    model_config = ConfigDict(frozen=True)

    pointer: str | None = Field(None, description="JSON Pointer into the body.")
    parameter: str | None = Field(None, description="Name of a query parameter.")
    header: str | None = Field(None, description="Name of a header.")
    detail: str


class ProblemBody(BaseModel):
    """What went wrong, for people (`detail`) and for programs (`code`)."""

    model_config = ConfigDict(frozen=True, title="Problem")

    type: str = Field(description="A URI that names this kind of problem.")
    title: str = Field(description="The kind of problem in words, the same each time.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request, and what would be right.")
    instance: str = Field(description="The path that was asked for.")
    code: str = Field(description="The kind of problem for programs; it never changes.")
    retryable: bool = Field(description="Whether the same request may succeed later.")
    trace_id: str = Field(description="Quote this when you ask for help.")
    errors: list[Violation] | None = Field(None, description="Each place that does not fit.")
    checks: dict[str, str] | None = Field(None, description="What readiness found, by name.")


@dataclass
class Problem(Exception):
    """A failure on its way to the client."""

    status: int
    code: str
    detail: str
    retryable: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[Violation] | None = None
    checks: Mapping[str, str] | None = None

    def response(self, instance: str, trace_id: str) -> Response:
        """The problem document."""
        body = ProblemBody(
            type=f"urn:crewline:problem:{self.code}",
            title=self.code.replace("-", " ").capitalize(),
            status=self.status,
            detail=mask_secrets(self.detail),
            instance=quote(instance[:_LONGEST_PATH]),
            code=self.code,
            retryable=self.retryable,
            trace_id=trace_id,
            errors=list(self.errors) if self.errors else None,
            checks=dict(self.checks) if self.checks else None,
        )
        headers = {"Cache-Control": "no-store", **self.headers}
        content = body.model_dump_json(exclude_none=True)
        return Response(content, self.status, headers, media_type=MEDIA_TYPE)


_STATUS_OF_KIND: dict[type[PlatformError], HTTPStatus] = {
    UnknownTask: HTTPStatus.NOT_FOUND,
    UnknownDeadLetter: HTTPStatus.NOT_FOUND,
    BacklogFull: HTTPStatus.TOO_MANY_REQUESTS,
    PayloadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Rejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    Conflict: HTTPStatus.CONFLICT,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The first kind an error is of decides."""

_CODE_OF_STATUS = {
    HTTPStatus.BAD_REQUEST: "malformed",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method-not-allowed",
}


def of_platform_error(error: PlatformError) -> Problem:
    """The problem that one of our own errors is to a client."""
    status = next((s for kind, s in _STATUS_OF_KIND.items() if isinstance(error, kind)), None)
    if status is None:
        return internal()
    headers = {"Retry-After": retry_after(error)} if error.retryable else {}
    if isinstance(error, BacklogFull):
        headers["RateLimit-Policy"] = f'"backlog";q={error.limit}'
        headers["RateLimit"] = f'"backlog";r=0;t={headers["Retry-After"]}'
    errors = None
    if isinstance(error, InvalidInput):
        errors = [
            Violation(pointer=f"/input{each.pointer}", detail=each.detail)
            for each in error.violations
        ]
    elif isinstance(error, NotAllowed):
        errors = [Violation(pointer=f"/{error.field}", detail=error.detail)]
    return Problem(status, error.code, error.message, error.retryable, headers, errors)


def of_status(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Problem:
    """The problem behind a bare HTTP status."""
    phrase = HTTPStatus(status).phrase
    code = _CODE_OF_STATUS.get(HTTPStatus(status), phrase.lower().replace(" ", "-"))
    return Problem(status, code, detail or phrase, status >= 500, headers or {})


def internal() -> Problem:
    """The problem of an error nobody foresaw; it says nothing about the inside."""
    detail = "Something went wrong here. It is logged under this trace id."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail, retryable=True)


def malformed(detail: str) -> Problem:
    """A request that cannot be read at all."""
    return Problem(HTTPStatus.BAD_REQUEST, "malformed", detail)


def too_large(detail: str) -> Problem:
    """A body of more than is read."""
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload-too-large", detail)


def invalid(errors: Sequence[Violation], number: int | None = None) -> Problem:
    """A request that can be read and does not fit; `number` is of all there are, told or not."""
    told = [_clipped(each) for each in errors[:MOST_VIOLATIONS]]
    number = max(len(errors), number or 0)
    first = told[0]
    place = first.pointer or first.parameter or first.header
    more = f" (and {number - 1} more)" if number > 1 else ""
    detail = f"{place}: {first.detail}{more}" if place else f"{first.detail}{more}"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, errors=told)


def _clipped(violation: Violation) -> Violation:
    """The same, said shortly: a name may be as long as a request."""
    longest = {"pointer": _LONGEST_PLACE, "parameter": _LONGEST_PLACE, "detail": _LONGEST_DETAIL}
    told = {name: getattr(violation, name) for name in longest}
    cut = {
        name: f"{said[: longest[name]]}…"
        for name, said in told.items()
        if said is not None and len(said) > longest[name]
    }
    return violation.model_copy(update=cut) if cut else violation


def retry_after(error: PlatformError) -> str:
    """Whole seconds, at least one."""
    seconds = error.retry_after if isinstance(error, Unavailable) else 1.0
    return str(max(1, math.ceil(seconds)))
