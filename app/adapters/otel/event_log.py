"""A span for each message published, and its context on the message."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
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
        send = _Send(span, processing_span(), message)
        if isinstance(acknowledged, asyncio.Future):  # known without anybody awaiting it
            acknowledged.add_done_callback(send.settled)
            return acknowledged
        return _Acknowledgement(acknowledged, send)

    def _start(self, message: Message) -> Span:
        destination = self._destination(message)
        _, chosen = parent_from(message.traceparent)
        return self._tracer.start_span(
            f"{names.SEND} {destination}",
            kind=SpanKind.CLIENT if chosen else SpanKind.PRODUCER,
            attributes={**messaging(names.SEND, destination), **about(message)},
            links=[Link(chosen)] if chosen else (),
        )


class _Send:
    """The span of one message on its way."""

    __slots__ = ("_message", "_processing", "_span")

    def __init__(self, span: Span, processing: Span, message: Message) -> None:
        self._span = span
        self._processing = processing
        self._message = message

    def end(self, error: BaseException | None) -> None:
        if not self._span.is_recording():
            return
        if error is not None:
            mark_raised(self._span, error)
        else:
            note(self._processing, self._message)
        self._span.end()

    def settled(self, future: "asyncio.Future[None]") -> None:
        self.end(asyncio.CancelledError() if future.cancelled() else future.exception())


class _Acknowledgement:
    """An acknowledgement that ends the span once it is awaited."""

    __slots__ = ("_inner", "_send")

    def __init__(self, inner: Awaitable[None], send: _Send) -> None:
        self._inner = inner
        self._send = send

    def __await__(self) -> Generator[Any, None, None]:
        try:
            yield from self._inner.__await__()
        except BaseException as error:
            self._send.end(error)
            raise
        self._send.end(None)


def _stamped(message: M, span: Span) -> M:
    if parent_from(message.traceparent)[1] is not None:
        return message
    return message.model_copy(update={"traceparent": traceparent_of(span.get_span_context())})
