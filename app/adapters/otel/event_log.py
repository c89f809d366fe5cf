"""A span for each message published, and its context on the message."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from opentelemetry.trace import Link, Span, SpanKind, Tracer, get_current_span

from app.adapters.otel import names
from app.adapters.otel.attributes import about, messaging
from app.adapters.otel.failures import mark_raised
from app.adapters.otel.outcome import note, processing_span
from app.adapters.otel.w3c import parent_from, traceparent_of
from app.domain.model.events import Trace
from app.domain.model.messages import Message
from app.ports.event_log import EventLog

M = TypeVar("M", bound=Message)


class TracedEventLog(EventLog):
    """Sends messages into the trace they are part of.

    A message that already has a trace context keeps it: its producer chose it. Trace events get
    the context of the run but no span of their own, for they say what spans say.
    """

    def __init__(
        self, inner: EventLog, tracer: Tracer, destination: Callable[[Message], str]
    ) -> None:
        self._inner = inner
        self._tracer = tracer
        self._destination = destination

    @property
    def largest_message(self) -> int | None:
        return self._inner.largest_message

    async def append(self, message: Message) -> Awaitable[None]:
        if isinstance(message, Trace):
            return await self._inner.append(_stamped(message, get_current_span()))
        span = self._start(message)
        try:
            acknowledged = await self._inner.append(_stamped(message, span))
        except BaseException as error:
            mark_raised(span, error)
            span.end()
            raise
        if not span.is_recording():
            return acknowledged
        return _Watched(acknowledged, _Send(span, processing_span(), message))

    def _start(self, message: Message) -> Span:
        destination = self._destination(message)
        _, chosen = parent_from(message.traceparent)
        return self._tracer.start_span(
            f"{names.SEND} {destination}",
            kind=SpanKind.CLIENT if chosen else SpanKind.PRODUCER,
            attributes={**messaging(names.SEND, destination), **about(message)},
            links=[Link(chosen)] if chosen else (),
        )


@dataclass(frozen=True, slots=True)
class _Send:
    """A message on its way."""

    span: Span
    processing: Span
    """The span of the delivery in which it was sent."""
    message: Message

    def settled(self, acknowledged: "asyncio.Future[None]") -> None:
        if acknowledged.cancelled():
            mark_raised(self.span, asyncio.CancelledError())
        elif error := acknowledged.exception():
            mark_raised(self.span, error)
        else:
            note(self.processing, self.message)
        self.span.end()


class _Watched(Awaitable[None]):
    """An acknowledgement that ends the span when it comes.

    A worker looks at the acknowledgements of a whole run at its end; the span must not wait for it.
    """

    __slots__ = ("_future",)

    def __init__(self, acknowledged: Awaitable[None], send: _Send) -> None:
        self._future = asyncio.ensure_future(acknowledged)
        self._future.add_done_callback(send.settled)

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        await asyncio.wait((self._future,))  # who stops waiting does not stop the message
        self._future.result()


def _stamped(message: M, span: Span) -> M:
    if parent_from(message.traceparent)[1] is not None:
        return message
    return message.model_copy(update={"traceparent": traceparent_of(span.get_span_context())})
