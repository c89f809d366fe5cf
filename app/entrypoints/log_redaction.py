"""Keep out of the logs what must not stand in them: secrets, and what people ask of models."""

from collections.abc import Mapping, Sized

from structlog.typing import EventDict, WrappedLogger

from app.domain.model.redaction import SECRET_NAME, mask_secrets

_PRIVATE_NAME = frozenset(
    {"prompt", "prompts", "system_prompt", "messages", "input", "completion", "parameters"}
)
_MASK = "***"
_OURS = frozenset(
    {"ts", "level", "logger", "task_id", "agent", "attempt", "runtime", "trace_id", "span_id"}
)
"""Fields of nearly every line, in which no secret can be: they are spared the search for one."""


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A structlog processor: the event without secrets and prompts."""
    return {name: value if name in _OURS else _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if name in _PRIVATE_NAME:
        return f"<{len(value) if isinstance(value, Sized) else 1} left out>"
    if isinstance(value, Mapping):
        return {key: _clean(str(key), each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(name, each) for each in value]
    if SECRET_NAME.search(name):
        return _MASK
    return mask_secrets(value if isinstance(value, str) else str(value))
