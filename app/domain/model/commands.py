"""What may be asked."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from app.domain.model.budgets import Budget, StrictBudget
from app.domain.model.ids import (
    AgentNameField,
    ContextIdField,
    RuntimeNameField,
    TaskId,
    TaskIdField,
)
from app.domain.model.messages import Message, Timestamp, WrittenTime
from app.domain.model.numbers import A_NUMBER
from app.domain.model.priorities import Priority

CancelReason = Annotated[str, StringConstraints(max_length=1_000)]
MOST_LABELS = 32
"""Labels one task may have."""
Labels = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")],
        Annotated[str, StringConstraints(max_length=256)],
    ],
    Field(max_length=MOST_LABELS),
]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+:.{1,200}$")]
"""`provider:name`, as LangChain's `init_chat_model` reads it."""


Input = str | dict[str, JsonValue]


def _nothing() -> Any:
    """An empty object, made anew: pydantic would copy a given one at length for each message."""
    return Field(default_factory=dict, json_schema_extra={"default": {}})


class TaskBody(BaseModel):
    """What asker and worker agree on, the same over HTTP, Kafka and the command line."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    input: Input
    """What the agent is to work on: a text, or an object that fits the agent's input schema."""
    parameters: dict[str, JsonValue] = _nothing()
    """What the agent can be told about how to do it."""
    context_id: ContextIdField | None = None
    """The conversation this task belongs to; its tasks run one after another, in order."""
    priority: Priority = Priority.NORMAL
    """Which of the tasks that wait for a worker begins first."""
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400), A_NUMBER] | None = None
    """How many seconds one run may take, from its start; no more than its agent allows."""
    expires_at: WrittenTime | None = None
    """A task not started by then is rejected with reason `expired`."""
    not_before: WrittenTime | None = None
    """A task is not started before this time."""
    budget: Budget | None = None
    """What it may spend on models, all its runs together; the agent may allow less."""
    runtime: RuntimeNameField | None = None
    """How the agent is run, such as `rules` or `crewai`; without it as its worker prefers."""
    model: ModelName | None = None
    """`provider:name` of the chat model, of those the agent may use; without it the agent's own,
    else the worker's."""
    labels: Labels = _nothing()
    """Anything to find the task by; all tasks with a label can be listed."""


class TaskRequest(TaskBody):
    """A task as somebody asks for it: an unknown field is their mistake, and said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: AgentNameField
    """Who is to do it: a name of those that `GET /v1/agents` lists."""
    budget: StrictBudget | None = None
    """What it may spend on models, all its runs together; the agent may allow less."""
    id: TaskIdField | None = None
    """Chosen by the asker to make the request repeatable; otherwise we mint one."""


class Earlier(NamedTuple):
    """What became of a task before this message of it was sent; it travels in headers."""

    attempts: int = 0
    """Runs there have been."""
    failures: int = 0
    """Those of them that count against the agent's retry policy."""
    redrives: int = 0
    """How often it came back from the dead letters."""
    redriven_at: datetime | None = None
    """When it last did: what was asked of the task before that is asked no longer."""
    key: bytes | None = None
    """The key its producer chose: by that it goes on, behind what else has it."""


NOTHING_EARLIER = Earlier()


class SubmitTask(Message, TaskBody):
    """Run one task with one agent."""

    TYPE: ClassVar[str] = "task.submit.v1"

    id: TaskIdField
    """One task, however often this is sent."""
    agent: AgentNameField
    """Who is to do it."""
    submitted_at: Timestamp
    """When somebody asked for it."""
    earlier: SkipJsonSchema[Earlier] = Field(default=Earlier(), exclude=True)

    @property
    def overtakes(self) -> bool:
        """Whether it passes what was there before it: a conversation's tasks keep their order."""
        return self.priority.urgent and self.context_id is None

    @classmethod
    def of(cls, request: TaskRequest, task_id: TaskId, at: datetime) -> "SubmitTask":
        """The command that carries out a request."""
        fields = {name: getattr(request, name) for name in TaskBody.model_fields}
        if request.budget is not None:
            fields["budget"] = Budget(**request.budget.model_dump())
        return cls(id=task_id, agent=request.agent, submitted_at=at, **fields)


class CancelRequest(BaseModel):
    """A cancel as somebody asks for it: an unknown field is their mistake, and said."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    reason: CancelReason | None = None
    """For people: it becomes the message of the canceled task."""


class CancelTask(Message):
    """Stop a task, or never start it."""

    TYPE: ClassVar[str] = "task.cancel.v1"

    task_id: TaskIdField
    """The task to stop."""
    at: Timestamp
    """When somebody asked for that; a task that is redriven later runs again."""
    reason: CancelReason | None = None
    """For people: it becomes the message of the canceled task."""
