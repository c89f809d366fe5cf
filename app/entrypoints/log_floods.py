"""Keeps a warning that is said over and over from flooding the log.

A flood is one message of one logger, told apart by its text before its arguments are filled in.
Its first few lines are written; what follows is counted. While it goes on, one line a minute says
how often it was said; when it has been silent for a while, a last line says that it is over.
Lines that belong to a task, or have a traceback, are always written.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.contextvars import get_contextvars

from app.ports.run_identity import current_run

_MOST_FLOODS = 1_000

_ADVICE = (
    (
        re.compile(r"not found in cluster metadata|during auto-create|UnknownTopicOrPartition"),
        "`crewline topics apply` makes the topics that are missing",
    ),
    (
        re.compile(r"not authorized|Authorization ?Failed", re.IGNORECASE),
        "give this client's user access to its topics and groups; docs/kafka.md lists them",
    ),
    (
        re.compile(r"Unable connect|Unable to (?:bootstrap|request metadata|update metadata)"),
        "see that Kafka runs, and that CREWLINE_KAFKA__BOOTSTRAP_SERVERS is right; "
        "`crewline doctor` asks it",
    ),
)
"""What cures a message of the Kafka library, for people who do not know it."""


@dataclass(slots=True)
class _Flood:
    logger: str
    level: int
    since: float
    last: float
    reported: float
    text: str = ""
    written: set[str] = field(default_factory=set)
    held: int = 0
    """How many lines were not written."""


class FloodFilter(logging.Filter):
    """A filter of a handler; `write` hands that handler the lines which sum a flood up.

    `distinct` lines of a flood are written, `every` is the time between two counts and `silence`
    the time after which a flood is over, both in seconds. Lines below WARNING are let through.
    """

    def __init__(
        self,
        write: Callable[[logging.LogRecord], object],
        *,
        distinct: int = 3,
        every: float = 60,
        silence: float = 15,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._write = write
        self._distinct = distinct
        self._every = every
        self._silence = silence
        self._clock = clock
        self._floods: dict[tuple[str, str], _Flood] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written; the line that comes with a count is changed to say it.

        It never raises: what is wrong with a line is for the handler to say.
        """
        try:
            return self._is_written(record)
        except Exception:  # noqa: BLE001  # a broken message, or no thread to be had
            return True

    def _is_written(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or _of_a_task(record) or _has_traceback(record):
            return True
        if record.name.startswith("aiokafka") and (advice := _advice(record)):
            record.advice = advice
        now = self._clock()
        with self._lock:
            flood = self._flood(record, now)
            if flood is None:
                return True
            flood.last, flood.text = now, _text(record)
            if flood.text not in flood.written and len(flood.written) < self._distinct:
                flood.written.add(flood.text)
                return True
            flood.held += 1
            if now - flood.reported < self._every:
                return False
            flood.reported = now
            return _with(record, repeated=flood.held, seconds=round(now - flood.since))

    def close_silent(self) -> None:
        """Forget the floods that have been silent for long enough, and say that they are over."""
        now = self._clock()
        with self._lock:
            over = [
                (key, flood)
                for key, flood in self._floods.items()
                if now - flood.last >= self._silence
            ]
            for key, _ in over:
                del self._floods[key]
            self._timer = None
            if self._floods:
                self._start_timer()
        for _, flood in over:
            if flood.held:
                self._write(_ending(flood))

    def _flood(self, record: logging.LogRecord, now: float) -> _Flood | None:
        key = (record.name, _template(record))
        flood = self._floods.get(key)
        if flood is None and len(self._floods) < _MOST_FLOODS:
            flood = self._floods[key] = _Flood(record.name, record.levelno, now, now, now)
            if self._timer is None:
                self._start_timer()
        return flood

    def _start_timer(self) -> None:
        self._timer = threading.Timer(self._silence, self.close_silent)
        self._timer.daemon = True
        self._timer.start()


_OF_EVERY_LINE = frozenset({"ts", "level", "logger", "_record", "_from_structlog"})
_STANDARD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "advice"))
"""Attributes of a record that are no fields of its line."""


def _of_a_task(record: logging.LogRecord) -> bool:
    if hasattr(record, "task_id") or "task_id" in get_contextvars() or current_run():
        return True
    return isinstance(record.msg, dict) and "task_id" in record.msg


def _has_traceback(record: logging.LogRecord) -> bool:
    return bool(record.msg.get("exc_info") if isinstance(record.msg, dict) else record.exc_info)


def _template(record: logging.LogRecord) -> str:
    """The text before its arguments are filled in; structlog hands its fields over as a mapping."""
    if isinstance(record.msg, dict):
        return str(record.msg.get("event"))
    return record.getMessage() if record.msg == "%s" else str(record.msg)


def _text(record: logging.LogRecord) -> str:
    """What tells a line from others of its flood: its text, and its fields."""
    if isinstance(record.msg, dict):
        told = {name: each for name, each in record.msg.items() if name not in _OF_EVERY_LINE}
        return f"{told.pop('event', '')} {told}" if len(told) > 1 else _template(record)
    fields = {name: each for name, each in vars(record).items() if name not in _STANDARD}
    return f"{record.getMessage()} {fields}" if fields else record.getMessage()


def _advice(record: logging.LogRecord) -> str | None:
    text = record.getMessage()
    return next((advice for pattern, advice in _ADVICE if pattern.search(text)), None)


def _with(record: logging.LogRecord, **fields: object) -> bool:
    if isinstance(record.msg, dict):
        record.msg = {**record.msg, **fields}
    else:
        record.__dict__.update(fields)
    return True


def _ending(flood: _Flood) -> logging.LogRecord:
    record = logging.LogRecord(
        flood.logger, logging.INFO, "", 0, "no longer said: %s", (flood.text,), None
    )
    record.repeated = flood.held
    record.seconds = round(flood.last - flood.since)
    return record
