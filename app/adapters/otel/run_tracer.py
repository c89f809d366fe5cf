"""A span for each activity of a run: the crew, its agents, their model and tool calls."""

from dataclasses import dataclass
from typing import assert_never

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Tracer, set_span_in_context

from app.adapters.otel import names
from app.adapters.otel.attributes import Attributes
from app.adapters.otel.failures import CANCELED, mark
from app.ports.agent_runtime import ActivityId, ActivityKind
from app.ports.tracing import RunTracer


@dataclass(slots=True)
class _Activity:
    """What children need of an activity, which may have ended before they begin."""

    context: Context
    agent: str | None
    span: Span | None


class OtelRunTracer(RunTracer):
    """Parents are found by activity id, never by what is current: frameworks switch threads."""

    def __init__(self, tracer: Tracer, root: Span, common: Attributes) -> None:
        self._tracer = tracer
        self._common = common
        self._open = root.is_recording()
        self._root = _Activity(set_span_in_context(root, Context()), agent=None, span=None)
        self._activities: dict[ActivityId, _Activity] = {}

    def begin(
        self,
        activity: ActivityId,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None,
        provider: str | None,
    ) -> None:
        if not self._open or activity in self._activities:
            return
        above = self._activities.get(parent, self._root) if parent is not None else self._root
        agent = name if kind == "agent" else above.agent
        attributes = {**self._common, **_described(kind, name, provider)}
        if agent is not None:
            attributes[names.GEN_AI_AGENT] = agent
        span = self._tracer.start_span(
            _titled(kind, name),
            context=above.context,
            kind=SpanKind.CLIENT if kind == "model" else SpanKind.INTERNAL,
            attributes=attributes,
        )
        self._activities[activity] = _Activity(set_span_in_context(span, Context()), agent, span)

    def end(
        self,
        activity: ActivityId,
        *,
        error: str | None,
        input_tokens: int,
        output_tokens: int,
        finish_reason: str | None,
    ) -> None:
        known = self._activities.get(activity)
        if known is None or known.span is None:
            return
        span, known.span = known.span, None
        if input_tokens or output_tokens:
            span.set_attribute(names.GEN_AI_INPUT_TOKENS, input_tokens)
            span.set_attribute(names.GEN_AI_OUTPUT_TOKENS, output_tokens)
        if finish_reason is not None:
            span.set_attribute(names.GEN_AI_FINISH_REASONS, (finish_reason,))
        if error is not None:
            mark(span, error)
        span.end()

    def close(self) -> None:
        """End what is still open, innermost first: nobody is left who could."""
        self._open = False
        for activity in reversed(self._activities.values()):
            if activity.span is not None:
                mark(activity.span, CANCELED)
                activity.span.end()
        self._activities.clear()


def _titled(kind: ActivityKind, name: str) -> str:
    match kind:
        case "workflow":
            return f"invoke_workflow {name}"
        case "agent":
            return f"invoke_agent {name}"
        case "model":
            return f"chat {name}"
        case "tool":
            return f"execute_tool {name}"
        case "step":
            return f"step {name}"
        case _:
            assert_never(kind)


def _described(kind: ActivityKind, name: str, provider: str | None) -> Attributes:
    match kind:
        case "workflow":
            return {names.GEN_AI_OPERATION: "invoke_workflow", names.GEN_AI_WORKFLOW: name}
        case "agent":
            return {names.GEN_AI_OPERATION: "invoke_agent"}
        case "model":
            call: Attributes = {names.GEN_AI_OPERATION: "chat", names.GEN_AI_MODEL: name}
            if provider is not None:
                call[names.GEN_AI_PROVIDER] = names.provider_name(provider)
            return call
        case "tool":
            return {names.GEN_AI_OPERATION: "execute_tool", names.GEN_AI_TOOL: name}
        case "step":
            return {}
        case _:
            assert_never(kind)
