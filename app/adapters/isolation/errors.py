"""Errors that cross from one process to the other and stay what they are."""

from importlib import import_module
from typing import Any

from pydantic import JsonValue

from app.adapters.isolation.frames import Frame
from app.domain.model.errors import PlatformError, RunFailed
from app.domain.model.readable import words
from app.ports.agent_runtime import RunStopped, StopReason

_OURS = "app."


def told(error: BaseException) -> Frame:
    """An error as a message. One that is not ours is an agent's bug."""
    if isinstance(error, RunStopped):
        return {"stopped": error.reason}
    if not isinstance(error, PlatformError):
        error = RunFailed("agent-error", words(error), retryable=False)
    kind = type(error)
    known = {name: value for name, value in vars(error).items() if _is_plain(value)}
    return {"type": f"{kind.__module__}:{kind.__qualname__}", "fields": known}


def restored(frame: Frame) -> BaseException:
    """The error that a message tells of."""
    if "stopped" in frame:
        return RunStopped(StopReason(frame["stopped"]))
    module, _, name = frame["type"].partition(":")
    kind: Any = getattr(import_module(module), name, None) if module.startswith(_OURS) else None
    fields: dict[str, JsonValue] = frame["fields"]
    message = str(fields.get("message", ""))
    if not isinstance(kind, type) or not issubclass(kind, PlatformError):
        return RunFailed("agent-error", message, retryable=False)
    error = kind.__new__(kind, message)  # each has an __init__ of its own
    vars(error).update(fields)
    return error


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
