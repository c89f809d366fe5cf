"""Sends spans to a collector that may be away, without a word too many."""

import logging
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_log = logging.getLogger(__name__)
_CHATTY = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)


class _LastWords(logging.Filter):
    """Keeps a logger silent, and what it wanted to say."""

    heard = ""

    def listen(self) -> None:
        for name in _CHATTY:
            logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno > logging.WARNING or not self.heard:
            self.heard = record.getMessage()
        return False


_last_words = _LastWords()
"""One for the process, as the SDK's loggers are."""


class QuietExporter(SpanExporter):
    """Says once when spans cannot be delivered, and once when they can again.

    The SDK logs every batch and every retry, for as long as a collector is away.
    """

    def __init__(self, inner: SpanExporter, address: str) -> None:
        self._inner = inner
        self._address = address
        self._lost = 0
        _last_words.listen()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                _log.info(
                    "spans are delivered again",
                    extra={"collector": self._address, "lost": self._lost},
                )
            self._lost = 0
            return result
        if not self._lost:
            _log.warning(
                "spans cannot be delivered; tasks go on without them",
                extra={"collector": self._address, "reason": _last_words.heard},
            )
        self._lost += len(spans)
        _last_words.heard = ""
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
