"""Keep out of the logs what must not stand in them: secrets, and what people ask of models."""

import re
from collections.abc import Mapping, Sized

from structlog.typing import EventDict, WrappedLogger

_SECRET_NAME = re.compile(
    r"passw|secret|credential|authorization|cookie|private_?key|api_?key|access_?key|"
    r"(^|[_.-])(token|jwt|bearer)$",
    re.IGNORECASE,
)
_PRIVATE_NAME = frozenset(
    {"prompt", "prompts", "system_prompt", "messages", "input", "completion", "parameters"}
)
_SECRET_TEXT = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"  # user:password@host
    r"|(?P<bearer>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|\bsk-[A-Za-z0-9_-]{8,}",  # the providers' keys
    re.IGNORECASE,
)
_MASK = "***"


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A structlog processor: the event without secrets and prompts."""
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if name in _PRIVATE_NAME:
        return f"<{len(value) if isinstance(value, Sized) else 1} left out>"
    if isinstance(value, Mapping):
        return {key: _clean(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(name, each) for each in value]
    if _SECRET_NAME.search(name):
        return _MASK
    return mask_secrets(value) if isinstance(value, str) else value


def mask_secrets(text: str) -> str:
    """The text with passwords in addresses, bearer tokens and providers' keys masked."""
    return _SECRET_TEXT.sub(lambda found: (found["scheme"] or found["bearer"] or "") + _MASK, text)
