"""The vendors' errors as ours: the one place that knows how providers fail."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from langchain_core import exceptions as langchain

from app.ports.chat_model import (
    ContextTooLong,
    ModelFailed,
    ModelRateLimited,
    ModelRefused,
    ModelUnauthorized,
    ModelUnavailable,
    ModelUnreachable,
    UnknownModel,
)

_TOO_LONG = (
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "context size",
    "prompt is too long",
    "input is too long",
    "too many tokens",
)
_TRY_LATER = frozenset({408, 409, 425})
_NO_ANSWER = (
    langchain.ModelConnectionError,
    langchain.ModelTimeoutError,
    ConnectionError,
    TimeoutError,
)


def translated(error: Exception, model: str) -> ModelFailed:
    """What an integration raised, in our words. Those of the vendor are kept, cut short."""
    if isinstance(error, ModelFailed):
        return error
    chain = list(_chain(error))
    words = " ".join(str(error).split())[:300]
    told = f"{model}: {words}" if words else f"{model}: {type(error).__name__}"
    if any(isinstance(each, langchain.ContextOverflowError) for each in chain):
        return ContextTooLong(told, status=400)
    answered = next((each for each in chain if _status(each) is not None), None)
    if answered is not None:
        return _of_status(_status(answered) or 0, told, _retry_after(answered))
    if any(isinstance(each, _NO_ANSWER) or _broke_off(each) for each in chain):
        return ModelUnreachable(told)
    return _without_asking(error, told)


def _without_asking(error: Exception, told: str) -> ModelFailed:
    """The failures that no provider reported."""
    if "credentials" in told.lower() or "api_key" in told.lower():
        return ModelUnauthorized(told)
    if isinstance(error, ValueError):  # a body that is not JSON, or JSON of another shape
        return ModelUnavailable(told)
    return ModelFailed(told)


def _of_status(status: int, told: str, retry_after: float | None) -> ModelFailed:
    said = told.lower()
    if status == 429 and "insufficient_quota" not in said:
        return ModelRateLimited(told, status=status, retry_after=retry_after)
    if status in (401, 403):
        return ModelUnauthorized(told, status=status)
    if status in (400, 413, 422) and any(phrase in said for phrase in _TOO_LONG):
        return ContextTooLong(told, status=status)
    if status == 404:
        return UnknownModel(told, status=status)
    if status in _TRY_LATER or status >= 500 or status < 400:  # below: an error inside a stream
        return ModelUnavailable(told, status=status, retry_after=retry_after)
    return ModelRefused(told, status=status)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _broke_off(error: BaseException) -> bool:
    """Whether an HTTP client lost its connection; each vendor brings a client of its own."""
    kinds = (kind for kind in type(error).__mro__ if kind.__module__.startswith("httpx"))
    return any(kind.__name__ == "TransportError" for kind in kinds)


def _retry_after(error: BaseException) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None)
    if not isinstance(headers, Mapping):
        return None
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[header]) * unit)
        except (KeyError, ValueError):  # absent, or a date
            continue
    return _until(str(headers.get("retry-after")))


def _until(date: str) -> float | None:
    """Seconds to a date as HTTP writes it; None where it is none."""
    try:
        at = parsedate_to_datetime(date)
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except ValueError:
        return None
