"""W3C trace context as one string, the form in which our messages carry it."""

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()
_LONGEST = 512


def parent_from(traceparent: str | None) -> tuple[Context, SpanContext | None]:
    """The context a message travelled with, as a parent and as something to link to.

    The context is empty, and the link None, where the message carried none or a broken one: a
    producer's mistake in a header must not cost the task anything. It never holds what happens to
    be current here.
    """
    if not traceparent or len(traceparent) > _LONGEST:
        return Context(), None
    context = _W3C.extract({"traceparent": traceparent}, Context())
    remote = get_current_span(context).get_span_context()
    return context, remote if remote.is_valid else None


def traceparent_of(span: SpanContext) -> str | None:
    """The `traceparent` that makes a receiver's spans children of this one."""
    if not span.is_valid:
        return None
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
