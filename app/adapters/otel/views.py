"""The projector's spans: from the messages on the log to the rows of the views."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Tracer

from app.adapters.otel import names
from app.adapters.otel.attributes import about, messaging
from app.adapters.otel.failures import mark_raised
from app.adapters.otel.w3c import parent_from
from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import Event, Trace
from app.domain.model.ids import TaskId
from app.domain.model.messages import Message
from app.domain.model.progress import Progress
from app.ports.event_log import Offsets
from app.ports.status_store import ViewStore, ViewUpdate

_FEW = 4
_MOST_LINKS = 128


class TracedViewStore(ViewStore):
    """Shows each message stored in its own trace; a larger batch is one span that links to them.

    Messages that travelled in no trace, or in one that is not sampled, cost nothing here.
    """

    def __init__(
        self,
        inner: ViewStore,
        tracer: Tracer,
        destination: Callable[[Message], str],
        group: str | None = None,
    ) -> None:
        self._inner = inner
        self._tracer = tracer
        self._destination = destination
        self._group = group

    async def save(self, update: ViewUpdate) -> None:
        with self._storing(update):
            await self._inner.save(update)

    async def offsets(self) -> Offsets:
        return await self._inner.offsets()

    async def progress(self, task_ids: Iterable[TaskId]) -> dict[TaskId, Progress]:
        return await self._inner.progress(task_ids)

    async def begin_anew(self) -> Sequence[SubmitTask | CancelTask]:
        return await self._inner.begin_anew()

    async def clear(self) -> None:
        await self._inner.clear()

    @contextmanager
    def _storing(self, update: ViewUpdate) -> Iterator[None]:
        traced = list(islice(_traced(update), _MOST_LINKS))
        if len(traced) > _FEW:
            spans = [self._batch(traced, len(update.commands) + len(update.events))]
        else:
            spans = [self._single(each) for each in traced]
        try:
            yield
        except BaseException as error:
            for span in spans:
                mark_raised(span, error)
            raise
        finally:
            for span in spans:
                span.end()

    def _single(self, each: "_Traced") -> Span:
        destination = self._destination(each.message)
        return self._tracer.start_span(
            f"{names.PROCESS} {destination}",
            context=each.parent,
            kind=SpanKind.CONSUMER,
            attributes={
                **messaging(names.PROCESS, destination, self._group),
                **about(each.message),
            },
            links=[Link(each.sent)],
        )

    def _batch(self, traced: list["_Traced"], size: int) -> Span:
        messages = [each.message for each in traced]
        named_after = next((m for m in messages if isinstance(m, Event)), messages[0])
        destination = self._destination(named_after)
        return self._tracer.start_span(
            f"{names.PROCESS} {destination}",
            context=Context(),
            kind=SpanKind.CONSUMER,
            attributes={
                **messaging(names.PROCESS, destination, self._group),
                names.MESSAGING_BATCH_COUNT: size,
            },
            links=[Link(each.sent) for each in traced],
        )


class _Traced(NamedTuple):
    """A message and the sampled span that sent it."""

    message: Message
    parent: Context
    sent: SpanContext


def _traced(update: ViewUpdate) -> Iterator[_Traced]:
    for message in chain[Message](update.commands, update.events):
        if message.traceparent is None or isinstance(message, Trace):
            continue
        parent, sent = parent_from(message.traceparent)
        if sent is not None and sent.trace_flags.sampled:
            yield _Traced(message, parent, sent)
