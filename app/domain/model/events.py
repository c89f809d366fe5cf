"""What has happened: the versioned wire vocabulary of the results and traces topics."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from app.domain.model.ids import AgentNameField, RuntimeNameField, TaskIdField, WorkerIdField
from app.domain.model.lifecycle import Reason
from app.domain.model.messages import Message, Timestamp, Value


class Usage(Value):
    """What a run has spent so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    cost_usd: float | None = None

    def __add__(self, other: "Usage") -> "Usage":
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            model_calls=self.model_calls + other.model_calls,
            tool_calls=self.tool_calls + other.tool_calls,
            cost_usd=round(sum(costs), 9) if costs else None,
        )


class TaskError(Value):
    """Why a task did not end well."""

    code: str
    message: str
    retryable: bool = False


class Artifact(Value):
    """A document a task produced. `content` is its text."""

    name: str
    media_type: str = "text/plain"
    content: str


class Result(Value):
    """What a task was for."""

    output: JsonValue = None
    artifacts: tuple[Artifact, ...] = ()


class InputRequest(Value):
    """A question to a person, and the JSON Schema of a fitting answer."""

    prompt: str
    answer_schema: dict[str, JsonValue] = Field(default={}, alias="schema")
    expires_at: Timestamp | None = None


class Event(Message):
    """A fact about one run. A run numbers all its events, of both topics, from 1 without a gap."""

    task_id: TaskIdField
    agent: AgentNameField
    attempt: Annotated[int, Field(ge=1)]
    sequence: Annotated[int, Field(ge=1)]
    at: Timestamp
    worker_id: WorkerIdField


class TaskStarted(Event):
    TYPE: ClassVar[str] = "task.started.v1"
    runtime: RuntimeNameField
    model: str | None = None


class TaskProgressed(Event):
    TYPE: ClassVar[str] = "task.progressed.v1"
    message: str
    progress: Annotated[float, Field(ge=0, le=1)] | None = None
    usage: Usage = Usage()


class TaskRetryScheduled(Event):
    TYPE: ClassVar[str] = "task.retry-scheduled.v1"
    error: TaskError
    not_before: Timestamp
    usage: Usage = Usage()


class TaskInputRequired(Event):
    TYPE: ClassVar[str] = "task.input-required.v1"
    input_request: InputRequest
    usage: Usage = Usage()


class TaskCompleted(Event):
    TYPE: ClassVar[str] = "task.completed.v1"
    result: Result
    usage: Usage = Usage()


class TaskFailed(Event):
    TYPE: ClassVar[str] = "task.failed.v1"
    error: TaskError
    reason: Reason | None = None
    usage: Usage = Usage()


class TaskCanceled(Event):
    TYPE: ClassVar[str] = "task.canceled.v1"
    reason: Reason | None = None
    message: str | None = None
    usage: Usage = Usage()


class TaskRejected(Event):
    """Refused without running: expired, invalid, or for an agent nobody knows."""

    TYPE: ClassVar[str] = "task.rejected.v1"
    error: TaskError
    reason: Reason | None = None


class TaskRedriven(Event):
    """Somebody had a dead letter sent again: the task is open once more, for a new attempt.

    It stands behind the last event of the attempt that ended it.
    """

    TYPE: ClassVar[str] = "task.redriven.v1"
    redrives: Annotated[int, Field(ge=1)]
    """How often this was done, this time included."""


class Trace(Event):
    """A glimpse into a run. `span_id` and `parent_span_id` make the tree."""

    span_id: str | None = None
    parent_span_id: str | None = None


class TraceStep(Trace):
    TYPE: ClassVar[str] = "trace.step.v1"
    kind: Literal["workflow", "agent", "step"]
    name: str
    phase: Literal["started", "completed", "failed"]
    duration_ms: float | None = None
    detail: str | None = None


class TraceModelCall(Trace):
    TYPE: ClassVar[str] = "trace.model-call.v1"
    model: str
    provider: str | None = None
    duration_ms: float
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Those of the input that the provider had in its cache."""
    cost_usd: float | None = None
    finish_reason: str | None = None
    error: str | None = None


class TraceToolCall(Trace):
    TYPE: ClassVar[str] = "trace.tool-call.v1"
    tool: str
    duration_ms: float
    error: str | None = None


class TraceToken(Trace):
    TYPE: ClassVar[str] = "trace.token.v1"
    text: str


class TraceLog(Trace):
    TYPE: ClassVar[str] = "trace.log.v1"
    level: Literal["debug", "info", "warning", "error"] = "info"
    message: str


TerminalEvent = TaskCompleted | TaskFailed | TaskCanceled | TaskRejected
ResultEvent = (
    TaskStarted
    | TaskProgressed
    | TaskRetryScheduled
    | TaskInputRequired
    | TaskRedriven
    | TerminalEvent
)
TraceEvent = TraceStep | TraceModelCall | TraceToolCall | TraceToken | TraceLog
