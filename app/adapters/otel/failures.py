"""How a span says that what it covered went wrong."""

import asyncio
import re
import traceback

from opentelemetry.trace import Span, StatusCode

from app.adapters.otel import names
from app.domain.model.errors import PlatformError, RunFailed
from app.domain.model.redaction import mask_secrets

CANCELED = "canceled"
_A_NAME = re.compile(r"[A-Za-z_][\w.-]{0,79}")
_LONGEST = 200


def error_type(error: BaseException) -> str:
    """A word of low cardinality: our own stable code, else the exception's class."""
    if isinstance(error, RunFailed):
        return error.failure_code
    if isinstance(error, PlatformError):
        return error.code
    if isinstance(error, asyncio.CancelledError):
        return CANCELED
    return type(error).__qualname__


def mark(span: Span, kind: str, message: str | None = None) -> None:
    """Say that it failed: `kind` to count by, the message, cut short, to read."""
    if not _A_NAME.fullmatch(kind):
        kind, message = names.OTHER, message or kind
    span.set_attribute(names.ERROR_TYPE, kind)
    span.set_status(StatusCode.ERROR, mask_secrets(message)[:_LONGEST] if message else None)


def mark_raised(span: Span, error: BaseException) -> None:
    """Say that it ended by an exception; one that nobody foresaw leaves its stack trace, too."""
    mark(span, error_type(error), str(error))
    if isinstance(error, Exception) and not isinstance(error, PlatformError):
        span.record_exception(
            error,
            attributes={
                "exception.message": mask_secrets(str(error)),
                "exception.stacktrace": mask_secrets("".join(traceback.format_exception(error))),
            },
        )
