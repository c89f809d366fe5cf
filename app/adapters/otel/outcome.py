"""Lets the span of a delivery say how its task got on.

The worker reports a failed task in an event, not by an exception, so the span around it would
look well. Whoever publishes the event inside that span therefore notes the outcome on it.
"""

from typing import cast

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.trace import INVALID_SPAN, Span, set_span_in_context

from app.adapters.otel import names
from app.adapters.otel.failures import mark
from app.domain.model.events import (
    TaskCanceled,
    TaskCompleted,
    TaskError,
    TaskFailed,
    TaskRejected,
    TaskRetryScheduled,
    TaskStarted,
    Usage,
)
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Message, rfc3339

_PROCESSING = create_key("crewline-processing")


def within(span: Span) -> Context:
    """The current context, inside the span of a delivery."""
    return set_value(_PROCESSING, span, set_span_in_context(span))


def processing_span() -> Span:
    """The span of the delivery that is being processed here, if there is one."""
    return cast("Span | None", get_value(_PROCESSING)) or INVALID_SPAN


def note(span: Span, message: Message) -> None:
    """Write on a delivery's span what a published message tells of its run."""
    if not span.is_recording():
        return
    match message:
        case TaskStarted():
            span.set_attribute(names.AGENT, message.agent)
            span.set_attribute(names.RUNTIME, message.runtime)
        case TaskRetryScheduled():
            when = {names.NOT_BEFORE: rfc3339(message.not_before)}
            span.add_event(names.RETRY_SCHEDULED, when)
            _spent(span, message.usage)
            mark(span, message.error.code, message.error.message)
        case TaskCompleted():
            _ended(span, TaskState.COMPLETED)
            _spent(span, message.usage)
        case TaskFailed():
            _ended(span, TaskState.FAILED, message.reason, message.error)
            _spent(span, message.usage)
        case TaskCanceled():
            _ended(span, TaskState.CANCELED, message.reason)
            _spent(span, message.usage)
        case TaskRejected():
            _ended(span, TaskState.REJECTED, message.reason, message.error)
        case _:
            pass


def _ended(
    span: Span, state: TaskState, reason: Reason | None = None, error: TaskError | None = None
) -> None:
    span.set_attribute(names.TASK_STATE, state.value)
    if reason is not None:
        span.set_attribute(names.REASON, reason.value)
    if error is not None:
        mark(span, error.code, error.message)


def _spent(span: Span, usage: Usage) -> None:
    span.set_attribute(names.INPUT_TOKENS, usage.input_tokens)
    span.set_attribute(names.OUTPUT_TOKENS, usage.output_tokens)
    if usage.cost_usd is not None:
        span.set_attribute(names.COST, usage.cost_usd)
