"""The trace that the code running now belongs to, for people who read logs and errors."""

from collections.abc import MutableMapping
from typing import Any

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span


def current_trace_id() -> str | None:
    """The trace id, as 32 hexadecimal digits, or None where nothing is traced."""
    span = get_current_span().get_span_context()
    return format_trace_id(span.trace_id) if span.is_valid else None


def add_trace_ids(
    _logger: object, _method: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: a line logged inside a span says which span and trace."""
    span = get_current_span().get_span_context()
    if span.is_valid:
        event_dict["trace_id"] = format_trace_id(span.trace_id)
        event_dict["span_id"] = format_span_id(span.span_id)
    return event_dict
