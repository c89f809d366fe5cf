"""Spans as tests look at them, wherever they were caught, and the tree they make."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.adapters.otel.provider import Telemetry


@dataclass(frozen=True)
class SeenSpan:
    name: str
    kind: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start: int
    end: int
    error: bool
    flags: int = 1
    events: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """The ids of the spans it links to."""
    attributes: dict[str, object] = field(default_factory=dict)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


class Services:
    """Telemetry for any number of services, all seen in one place and in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()

    def start(self, name: str = "crewline-test") -> Telemetry:
        provider = TracerProvider(resource=Resource({"service.name": name}), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        return Telemetry(provider)

    @property
    def spans(self) -> list[SeenSpan]:
        """The spans that have ended, by their beginning."""
        seen = [_seen(span) for span in self._exporter.get_finished_spans()]
        return sorted(seen, key=lambda span: span.start)

    def named(self, name: str) -> list[SeenSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> SeenSpan:
        (span,) = self.named(name)
        return span


def tree(spans: Sequence[SeenSpan], show: Callable[[SeenSpan], str] = lambda s: s.name) -> str:
    """The spans as an outline; a span whose parent was not caught stands at the left."""
    caught = {span.span_id for span in spans}
    return "\n".join(
        line
        for root in _oldest_first(span for span in spans if span.parent_id not in caught)
        for line in _outline(root, spans, show, 0)
    )


def _outline(
    span: SeenSpan, spans: Sequence[SeenSpan], show: Callable[[SeenSpan], str], depth: int
) -> Iterable[str]:
    yield "  " * depth + show(span)
    for child in _oldest_first(each for each in spans if each.parent_id == span.span_id):
        yield from _outline(child, spans, show, depth + 1)


def _oldest_first(spans: Iterable[SeenSpan]) -> list[SeenSpan]:
    return sorted(spans, key=lambda span: (span.start, span.end))


def _seen(span: ReadableSpan) -> SeenSpan:
    context = span.get_span_context()
    assert context is not None
    return SeenSpan(
        name=span.name,
        kind=span.kind.name,
        service=str(span.resource.attributes["service.name"]),
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        start=span.start_time or 0,
        end=span.end_time or 0,
        error=span.status.status_code.name == "ERROR",
        flags=context.trace_flags,
        events=tuple(event.name for event in span.events),
        links=tuple(f"{link.context.span_id:016x}" for link in span.links),
        attributes=dict(span.attributes or {}),
    )
