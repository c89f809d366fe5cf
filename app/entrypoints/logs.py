"""Logs: one line per event, JSON for machines and coloured text for people.

Ours come through structlog, the libraries' through the standard library; both take the same way.
Log constant messages with fields. Every line that is written within a run says of itself which.
"""

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.domain.model.messages import rfc3339
from app.entrypoints.log_floods import FloodFilter
from app.entrypoints.log_redaction import redact
from app.entrypoints.terminal import printable, printable_json
from app.ports.run_identity import current_run

_RUN = ("task_id", "agent", "attempt")
_FIRST = ("ts", "level", "logger", "event", *_RUN, "trace_id", "span_id")
_OWN_HANDLERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "aiokafka", "alembic", "crewai")
"""Loggers of libraries that may have been given handlers of their own."""

_LIBRARIES = (
    *(
        "aiokafka",
        "aiosqlite",
        "alembic",
        "anthropic",
        "asyncio",
        "crewai",
        "faststream",
        "httpcore",
    ),
    *("httpx", "langchain", "langchain_core", "langsmith", "LiteLLM", "openai", "opentelemetry"),
    *("redis", "sqlalchemy", "urllib3", "uvicorn"),
)
"""Libraries whose lower levels tell each step they take, or hold prompts and the bytes of a call.

They are heard from WARNING on, whatever our own level is, but where one is asked for by name."""

_HARMLESS = {"aiokafka": ("GroupCoordinatorNotAvailable", "CoordinatorNotAvailable")}
"""What happens once in the life of a new broker and mends itself."""


def configure_logging(
    level: str = "INFO",
    format: Literal["auto", "json", "text"] = "auto",  # noqa: A002 - the setting's name
    *,
    levels: Mapping[str, str] = MappingProxyType({}),
    extra_processors: Sequence[Processor] = (),
    stream: TextIO | None = None,
) -> None:
    """Send every log of this process to one stream (standard error by default).

    `levels` are those of single loggers by name, where they differ. `extra_processors` may add
    fields, such as those of the current span, before secrets are taken out. Run uvicorn with
    `log_config=None`, or it takes its loggers back.
    """
    stream = stream or _own_stream()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _add_run,
        _add_time,
        _drop_coloured,
        *extra_processors,
    ]
    handler = _OwnHandler(stream)
    handler.addFilter(_HarmlessFilter(level))
    handler.addFilter(FloodFilter(handler.handle))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(format, stream),
            ],
        )
    )
    _route(handler, level, levels)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


class _OwnHandler(logging.StreamHandler[TextIO]):
    """Never raises: what cannot be said must not stop what was being done."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        with suppress(Exception):  # it would say so on a stream that may be closed
            super().handleError(record)


def _own_stream() -> TextIO:
    """Standard error, as a stream that code which runs here does not close."""
    if sys.stderr is not sys.__stderr__:
        return sys.stderr
    return _copy_of_stderr()


@cache
def _copy_of_stderr() -> TextIO:
    try:
        return os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return sys.stderr


_routed: list[tuple[logging.Handler, int]] = []
"""Where all goes, and from which level on."""


def put_back_logging() -> bool:
    """Have every log go where it was sent, whatever was done to logging; whether that was needed.

    Handlers that others have added stay.
    """
    if not _routed:
        return False
    (handler, level), root = _routed[-1], logging.getLogger()
    disabled = [
        logger
        for logger in (root, *logging.Logger.manager.loggerDict.values())
        if isinstance(logger, logging.Logger) and logger.disabled
    ]
    if (
        not logging.Logger.manager.disable
        and not disabled
        and handler in root.handlers
        and root.level == level
    ):
        return False
    logging.disable(logging.NOTSET)
    for logger in disabled:
        logger.disabled = False
    if handler not in root.handlers:
        root.addHandler(handler)
    root.setLevel(level)
    return True


def _route(handler: logging.Handler, level: str, levels: Mapping[str, str]) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    _routed[:] = [(handler, root.level)]
    for name in _OWN_HANDLERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name, own_level in levels.items():
        logging.getLogger(name).setLevel(own_level)
    logging.captureWarnings(capture=True)


def _rendering(format_: str, stream: TextIO) -> list[Processor]:
    terminal = stream.isatty()
    clean: list[Processor] = [structlog.processors.format_exc_info, redact]
    if format_ == "json" or (format_ == "auto" and not terminal):
        return [*clean, _in_order, _json_line]
    text_line = structlog.dev.ConsoleRenderer(
        colors=terminal and not os.environ.get("NO_COLOR"),
        timestamp_key="ts",
        exception_formatter=structlog.dev.plain_traceback,
    )
    return [*clean, _seen, text_line]


def _add_run(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if (run := current_run()) is not None:
        for name, value in zip(_RUN, run, strict=True):
            if value is not None:
                event.setdefault(name, value)
    return event


def _add_time(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    at = datetime.fromtimestamp(record.created, UTC) if record else datetime.now(UTC)
    event["ts"] = rfc3339(at)
    return event


def _drop_coloured(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Uvicorn sends each message a second time, in colours."""
    event.pop("color_message", None)
    return event


_render_json = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)


def _json_line(logger: WrappedLogger, name: str, event: EventDict) -> str:
    line = _render_json(logger, name, event)
    return printable_json(line if isinstance(line, str) else line.decode())


def _seen(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Nothing in the event may rewrite the terminal it is read at."""
    return {printable(name): _seen_value(value) for name, value in event.items()}


def _seen_value(value: object) -> object:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, dict):
        return {_seen_value(key): _seen_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_seen_value(each) for each in value]
    return printable(str(value))


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What one looks for first stands first."""
    first = {name: event[name] for name in _FIRST if name in event}
    return {**first, **{name: value for name, value in event.items() if name not in first}}


class _HarmlessFilter(logging.Filter):
    """Lowers what is harmless to debug, and drops it where debug is not written."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self._shown = level == "DEBUG"

    def filter(self, record: logging.LogRecord) -> bool:
        harmless = _HARMLESS.get(record.name.partition(".")[0], ())
        if record.levelno > logging.DEBUG and harmless:
            message = record.getMessage()
            if any(words in message for words in harmless):
                record.levelno, record.levelname = logging.DEBUG, "DEBUG"
                return self._shown
        return True
