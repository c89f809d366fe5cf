"""What an error of a model's SDK, or of the HTTP client below it, means to whoever asked the model.

SDKs raise the same class for faults that pass and for faults that stay: a key with a line break in
it is a `ConnectionError` to several. So the whole chain of causes counts, and what a provider says
in the error's body, also in the middle of a stream that began with 200. Errors are known by their
names and attributes, so that no SDK is imported here.
"""

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from app.ports.chat_model import (
    AnswerCut,
    ContextTooLong,
    ModelDeclined,
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

_STATUS_OF_KIND = {
    400: ("invalid_request", "bad_request", "invalid_argument", "failed_precondition"),
    401: ("authentication", "invalid_api_key", "unauthenticated", "unauthorized"),
    402: ("insufficient_quota", "billing", "insufficient_balance", "payment_required"),
    403: ("permission", "forbidden", "access_denied"),
    404: ("not_found",),
    413: ("request_too_large", "context_length_exceeded", "string_above_max_length"),
    429: ("rate_limit", "too_many_requests", "resource_exhausted", "throttl"),
    500: ("server_error", "api_error", "internal"),
    503: ("overloaded", "unavailable", "capacity"),
    504: ("timeout", "deadline_exceeded"),
}
"""What providers call an error in its body, by the status it has where there is one."""
_FILTERED = ("content_filter", "content_policy", "responsibleaipolicy", "moderation")

_ADDRESS = frozenset({"InvalidURL", "UnsupportedProtocol", "TooManyRedirects", "InvalidSchema"})
_NO_ANSWER = frozenset(
    {
        "APIConnectionError",
        "APITimeoutError",
        "ChunkedEncodingError",
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectionError",
        "EndpointConnectionError",
        "HTTPClientError",
        "IncompleteRead",
        "ModelConnectionError",
        "ModelTimeoutError",
        "ProtocolError",
        "Timeout",
        "TimeoutError",
        "TransportError",
        "gaierror",
    }
)
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError)
"""What an SDK stumbles with over an answer that is no JSON, or JSON of another shape."""


def translated(error: Exception, asked: str) -> ModelFailed:
    """What an SDK raised when `asked` was asked, in our words; the vendor's are kept, cut short."""
    told = _told(error, asked)
    known = as_model_failure(error, asked)
    if known is not None:
        return known
    if "credentials" in told.lower() or "api_key" in told.lower():
        return ModelUnauthorized(told)
    if isinstance(error, _UNREADABLE):
        return ModelUnavailable(told, answered=True)
    return ModelFailed(told)


def as_model_failure(error: BaseException, asked: str) -> ModelFailed | None:  # noqa: PLR0911
    """The same for an error that may come from anywhere; None where it is no provider's."""
    if isinstance(error, ModelFailed):
        return error
    told, chain = _told(error, asked), list(causes_of(error))
    names = {kind.__name__ for each in chain for kind in type(each).__mro__}
    if "ContextOverflowError" in names:
        return ContextTooLong(told, status=400)
    if "LengthFinishReasonError" in names:
        return AnswerCut(told)
    if "ContentFilterFinishReasonError" in names:
        return ModelDeclined(told)
    kinds = " ".join(kind for each in chain for kind in _kinds(each)).lower()
    if any(phrase in kinds for phrase in _FILTERED):
        declined = ModelDeclined(told)
        declined.answered = False  # it is the question that was not let through
        return declined
    answered = next((each for each in chain if _status(each) is not None), None)
    status = _status(answered) if answered is not None else None
    if status is None or status < 400:  # below: an error inside a stream, which says what it is
        status = _status_of(kinds) or status or (500 if kinds else None)
    if status is not None:
        return _of_status(status, f"{told} {kinds}", told, _retry_after(answered))
    return _of_transport(chain, names, told)


def _of_transport(  # noqa: PLR0911  # a table
    chain: list[BaseException], names: set[str], told: str
) -> ModelFailed | None:
    """The failures of an HTTP client: those that another try cannot mend come first."""
    words = " ".join(str(each) for each in chain).lower()
    unsendable = "LocalProtocolError" in names
    if any(isinstance(each, UnicodeEncodeError) and each.encoding == "ascii" for each in chain):
        return ModelUnauthorized(f"{told} (a key, or another header, has letters in it)")
    if unsendable and "header" in words:
        return ModelUnauthorized(f"{told} (a key, or another header, cannot be sent as it stands)")
    if unsendable or "InvalidHeader" in names:
        return ModelRefused(told)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
        return UnknownModel(f"{told} (the certificate at its address cannot be verified)")
    if _ADDRESS & names:
        return UnknownModel(f"{told} (its address cannot be asked)")
    if "DecodingError" in names or "ContentDecodingError" in names:
        return ModelUnavailable(told, answered=True)
    if _NO_ANSWER & names or any(isinstance(each, ssl.SSLError) for each in chain):
        return ModelUnreachable(told)
    return None


def _of_status(status: int, said: str, told: str, retry_after: float | None) -> ModelFailed:
    said = said.lower()
    if status == 429 and "insufficient_quota" not in said:
        return ModelRateLimited(told, status=status, retry_after=retry_after)
    if status in (401, 403):
        return ModelUnauthorized(told, status=status)
    if status in (400, 413, 422) and any(phrase in said for phrase in _TOO_LONG):
        return ContextTooLong(told, status=status)
    if status == 404:
        return UnknownModel(told, status=status)
    if status in _TRY_LATER or status >= 500 or status < 400:
        return ModelUnavailable(told, status=status, retry_after=retry_after)
    return ModelRefused(told, status=status)


def _told(error: BaseException, asked: str) -> str:
    words = " ".join(str(error).split())[:300]
    return f"{asked}: {words or type(error).__name__}"


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, the outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    """Where each SDK keeps it: on the error, its response, or in what botocore has for one."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        about = response.get("ResponseMetadata")
        found = about.get("HTTPStatusCode") if isinstance(about, Mapping) else None
    else:
        found = getattr(response, "status_code", None)
    for status in (getattr(error, "status_code", None), found, getattr(error, "code", None)):
        if isinstance(status, int) and 100 <= status < 600:
            return status
    return None


def _kinds(error: BaseException) -> Iterator[str]:
    """What the body of an error calls it; some integrations raise the body itself."""
    given = error.args[0] if error.args else None
    for body in (getattr(error, "body", None), given):
        about = body.get("error", body) if isinstance(body, Mapping) else None
        if isinstance(about, Mapping):
            kinds = (about.get(name) for name in ("code", "type", "status"))
            yield from (str(kind) for kind in kinds if isinstance(kind, str | int) and kind)


def _status_of(kinds: str) -> int | None:
    """The status of an error that has none, by what it is called."""
    for word in kinds.split():
        if word.isdecimal() and len(word) == 3 and 400 <= int(word) < 600:
            return int(word)
    for status in (402, 401, 413, 403, 404, 429, 503, 504, 500, 400):  # the more telling ones first
        if any(name in kinds for name in _STATUS_OF_KIND[status]):
            return status
    return None


def _retry_after(error: BaseException | None) -> float | None:
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
