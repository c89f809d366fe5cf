"""The span of one delivery, in the trace its message belongs to."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Link, SpanKind, Tracer, set_span_in_context

from app.adapters.otel import names
from app.adapters.otel.attributes import Attributes, messaging
from app.adapters.otel.failures import mark_raised
from app.adapters.otel.outcome import within
from app.adapters.otel.run_tracer import OtelRunTracer
from app.adapters.otel.w3c import parent_from
from app.domain.model.dead_letters import Origin
from app.domain.model.ids import TaskId
from app.ports.tracing import RunTracer, Tracing

_OLD = timedelta(hours=1)
_LONGEST_KEY = 128


class OtelTracing(Tracing):
    """Makes the spans of a worker.

    A delivery is a child of the span that sent its message, and linked to it: one task is one
    trace, and its attempts are siblings. A message older than `old` starts a trace of its own with
    the link only, as trace stores cannot search traces that span hours.
    """

    def __init__(
        self,
        tracer: Tracer,
        group: str | None = None,
        old: timedelta = _OLD,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = tracer
        self._group = group
        self._old = old / timedelta(milliseconds=1)
        self._now = now

    @contextmanager
    def processing(
        self, origin: Origin, traceparent: str | None, task_id: TaskId | None, attempt: int
    ) -> Iterator[RunTracer]:
        now = self._now()
        appended = min(int(origin.timestamp.timestamp() * 1000) * 1_000_000, now)
        waited = (now - appended) / 1e6
        parent, remote = parent_from(traceparent)
        if waited > self._old:
            parent = Context()
        common: Attributes = {names.ATTEMPT: attempt}
        if task_id is not None:
            common[names.TASK_ID] = task_id
        span = self._tracer.start_span(
            f"{names.PROCESS} {origin.topic}",
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes={**common, **self._coordinates(origin)},
            links=[Link(remote)] if remote else (),
            start_time=now,
        )
        here = set_span_in_context(span, Context())
        if attempt == 1:  # later attempts waited for something else than a free worker
            span.set_attribute(names.QUEUE_WAIT, waited)
            if waited <= self._old:
                self._tracer.start_span(
                    f"{names.QUEUED} {origin.topic}",
                    context=parent if remote else here,
                    attributes={**common, names.MESSAGING_DESTINATION: origin.topic},
                    start_time=appended,
                ).end(now)
        run = OtelRunTracer(self._tracer, span, common)
        token = attach(within(span))
        try:
            yield run
        except BaseException as error:
            mark_raised(span, error)
            raise
        finally:
            run.close()
            detach(token)
            span.end()

    def _coordinates(self, origin: Origin) -> Attributes:
        found = messaging(names.PROCESS, origin.topic, self._group)
        found[names.MESSAGING_PARTITION] = str(origin.partition)
        found[names.KAFKA_OFFSET] = origin.offset
        if origin.key is not None and len(origin.key) <= _LONGEST_KEY:
            found[names.KAFKA_KEY] = origin.key.decode(errors="replace")
        return found
