"""CrewAI's events, as the few facts of them that a run tells."""

from dataclasses import dataclass, replace
from typing import Any

from crewai.events.base_events import BaseEvent
from crewai.events.types.agent_events import (
    AgentExecutionCompletedEvent,
    AgentExecutionErrorEvent,
    AgentExecutionStartedEvent,
)
from crewai.events.types.crew_events import (
    CrewKickoffCompletedEvent,
    CrewKickoffFailedEvent,
    CrewKickoffStartedEvent,
)
from crewai.events.types.llm_events import (
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
    LLMCallStartedEvent,
    LLMCallType,
    LLMStreamChunkEvent,
)
from crewai.events.types.task_events import TaskCompletedEvent, TaskFailedEvent, TaskStartedEvent
from crewai.events.types.tool_usage_events import (
    ToolUsageErrorEvent,
    ToolUsageFinishedEvent,
    ToolUsageStartedEvent,
)

from app.ports.agent_runtime import ActivityKind

COUNTED = "crewline_counted"
"""Beside the counts of a usage: False where they are an estimate of ours."""


@dataclass(frozen=True, slots=True)
class Began:
    """Something started; `key` is how CrewAI refers to it."""

    key: str
    kind: ActivityKind
    name: str
    provider: str | None = None
    own: bool = False
    """Whether it is a call of a model that the crew brought along."""


@dataclass(frozen=True, slots=True)
class Ended:
    key: str
    error: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    finish_reason: str | None = None
    counted: bool = True
    said: str = ""
    """The answer of a model that the crew brought along."""


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of a model's answer."""

    key: str
    text: str


Note = Began | Ended | Said


def note_of(source: object, event: BaseEvent) -> Note | None:  # noqa: C901, PLR0911 - a table
    """What an event tells, if anything. Model calls go by their call id, others by their event."""
    match event:
        case CrewKickoffStartedEvent():
            return Began(event.event_id, "workflow", event.crew_name or "crew")
        case TaskStartedEvent():
            return Began(event.event_id, "step", _step_name(event.task))
        case AgentExecutionStartedEvent():
            return Began(event.event_id, "agent", event.agent.role)
        case ToolUsageStartedEvent():
            return Began(event.event_id, "tool", event.tool_name)
        case LLMCallStartedEvent():
            provider = getattr(source, "provider", None)
            name = event.model or "unknown"
            return Began(event.call_id, "model", name, provider, _is_own(source))
        case LLMStreamChunkEvent():
            words = event.chunk if event.call_type != LLMCallType.TOOL_CALL else ""
            return Said(event.call_id, words) if words else None
        case LLMCallCompletedEvent():
            ended = _model_ended(event.call_id, None, event.usage, event.finish_reason)
            said = event.response if _is_own(source) and isinstance(event.response, str) else ""
            return replace(ended, said=said)
        case LLMCallFailedEvent():
            usage = getattr(source, "usage_of_failed", {}).pop(event.call_id, None)
            return _model_ended(event.call_id, event.error, usage, None)
        case ToolUsageFinishedEvent():
            failure = event.failure.message if event.failure else None
            return _ended(event, failure)
        case CrewKickoffCompletedEvent() | TaskCompletedEvent() | AgentExecutionCompletedEvent():
            return _ended(event, None)
        case (
            CrewKickoffFailedEvent()
            | TaskFailedEvent()
            | AgentExecutionErrorEvent()
            | ToolUsageErrorEvent()
        ):
            return _ended(event, str(event.error) or "failed")
        case _:
            return None


def _is_own(source: object) -> bool:
    """Whether the crew brought this model along."""
    return not hasattr(source, "usage_of_failed")  # a field of those that we lend


def _ended(event: BaseEvent, error: str | None) -> Ended | None:
    return Ended(event.started_event_id, error) if event.started_event_id else None


def _model_ended(
    call_id: str, error: str | None, usage: dict[str, Any] | None, finish_reason: str | None
) -> Ended:
    """Without a usage nobody has counted."""
    usage = usage or {}
    return Ended(
        call_id,
        error,
        input_tokens=usage.get("prompt_tokens", usage.get("input_tokens")),
        output_tokens=usage.get("completion_tokens", usage.get("output_tokens")),
        cached_tokens=usage.get("cached_prompt_tokens", 0) or 0,
        finish_reason=finish_reason,
        counted=usage.get(COUNTED, True),
    )


def _step_name(task: Any) -> str:
    return str(getattr(task, "name", None) or "task")
