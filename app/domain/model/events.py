"""What has happened: the versioned wire vocabulary of the results and traces topics."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue

from app.domain.model.ids import AgentNameField, RuntimeNameField, TaskIdField, WorkerIdField
from app.domain.model.lifecycle import Reason
from app.domain.model.messages import Message, Timestamp, Told, Value


class Usage(Value):
    """What a run has spent so far."""

    input_tokens: int = 0
    """What models have read."""
    output_tokens: int = 0
    """What models have written."""
    model_calls: int = 0
    tool_calls: int = 0
    cost_usd: float | None = None
    """US dollars; null where a model has no known price, or nobody counted its tokens."""

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
    """The kind of error for programs; it never changes."""
    message: Told
    """What happened, in words."""
    retryable: bool = False
    """Whether another run might end better."""


class Artifact(Value):
    """A document a task produced."""

    name: str
    """A file's name, with folders where the agent made several files."""
    media_type: str = "text/plain"
    content: str
    """Its text."""


class Result(Value):
    """What a task was for."""

    output: JsonValue = None
    """As the agent's output schema says."""
    artifacts: tuple[Artifact, ...] = ()
    """Documents beside it."""


class InputRequest(Value):
    """A question to a person, and the JSON Schema of a fitting answer."""

    prompt: str
    """The question."""
    answer_schema: dict[str, JsonValue] = Field(default={}, alias="schema")
    """The JSON Schema of an answer."""
    expires_at: Timestamp | None = None
    """How long an answer is waited for."""


class Event(Message):
    """A fact about one run. A run numbers all its events, of both topics, from 1 without a gap."""

    task_id: TaskIdField
    agent: AgentNameField
    attempt: Annotated[int, Field(ge=1)]
    """Which run of the task this is about."""
    sequence: Annotated[int, Field(ge=1)]
    """Its number among the events of that run."""
    at: Timestamp
    """When it happened."""
    worker_id: WorkerIdField
    """Who tells it."""


class TaskStarted(Event):
    """A run of the task has begun."""

    TYPE: ClassVar[str] = "task.started.v1"
    runtime: RuntimeNameField
    """How the agent is run."""
    model: str | None = None
    """`provider:name` of the chat model, where one was chosen."""


class TaskProgressed(Event):
    """The run tells how far it is."""

    TYPE: ClassVar[str] = "task.progressed.v1"
    message: Told
    """What it is doing, for people."""
    progress: Annotated[float, Field(ge=0, le=1)] | None = None
    """How much of it is done; 1 is all."""
    usage: Usage = Usage()
    """What it has spent so far."""


class TaskRetryScheduled(Event):
    """The run failed, and another one will follow."""

    TYPE: ClassVar[str] = "task.retry-scheduled.v1"
    error: TaskError
    """Why it failed."""
    not_before: Timestamp
    """When the next run may begin."""
    usage: Usage = Usage()
    """What it spent."""


class TaskInputRequired(Event):
    """The run goes on when a person has answered."""

    TYPE: ClassVar[str] = "task.input-required.v1"
    input_request: InputRequest
    """What is asked."""
    usage: Usage = Usage()
    """What it has spent so far."""


class TaskCompleted(Event):
    """The task is done."""

    TYPE: ClassVar[str] = "task.completed.v1"
    result: Result
    """What came of it."""
    usage: Usage = Usage()
    """What its last run spent."""


class TaskFailed(Event):
    """The task ended with an error, and no other run follows."""

    TYPE: ClassVar[str] = "task.failed.v1"
    error: TaskError
    """Why."""
    reason: Reason | None = None
    """The kind of end, where there is one beside the error."""
    usage: Usage = Usage()
    """What its last run spent."""
    result: Result | None = None
    """The beginning of what it made, where that was too large to be told; `error` says where the
    whole lies."""


class TaskCanceled(Event):
    """Somebody had the task stopped, and its work has stopped."""

    TYPE: ClassVar[str] = "task.canceled.v1"
    reason: Reason | None = None
    message: str | None = None
    """Why, as they said."""
    usage: Usage = Usage()
    """What its last run spent."""


class TaskRejected(Event):
    """Refused without running: expired, invalid, or for an agent nobody knows."""

    TYPE: ClassVar[str] = "task.rejected.v1"
    error: TaskError
    """Why."""
    reason: Reason | None = None
    """The kind of end, where there is one beside the error."""


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
    """The OpenTelemetry span it is about."""
    parent_span_id: str | None = None
    """The span that one stands under."""


class TraceStep(Trace):
    """A crew, an agent in it or one of its steps has begun or ended."""

    TYPE: ClassVar[str] = "trace.step.v1"
    kind: Literal["workflow", "agent", "step"]
    name: str
    phase: Literal["started", "completed", "failed"]
    duration_ms: float | None = None
    """How long it took, once it has ended."""
    detail: Told | None = None
    """What there is to say about it, such as its error."""


class TraceModelCall(Trace):
    """A chat model was asked."""

    TYPE: ClassVar[str] = "trace.model-call.v1"
    model: str
    provider: str | None = None
    duration_ms: float
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Those of the input that the provider had in its cache."""
    counted: bool = True
    """False where nobody counted the tokens: those here are an estimate, or 0."""
    cost_usd: float | None = None
    """US dollars; null where the model has no known price, or nobody counted its tokens."""
    finish_reason: str | None = None
    """Why the model stopped, in the provider's words."""
    error: Told | None = None
    """Why it did not answer, where it did not."""


class TraceToolCall(Trace):
    """An agent used a tool."""

    TYPE: ClassVar[str] = "trace.tool-call.v1"
    tool: str
    """The tool's name."""
    duration_ms: float
    error: Told | None = None
    """Why it failed, where it did."""


class TraceToken(Trace):
    """A piece of a model's answer, as it comes."""

    TYPE: ClassVar[str] = "trace.token.v1"
    text: str


class TraceLog(Trace):
    """A line that the agent's own code wrote."""

    TYPE: ClassVar[str] = "trace.log.v1"
    level: Literal["debug", "info", "warning", "error"] = "info"
    message: Told


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
