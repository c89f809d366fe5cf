"""Runs one task with an agent."""

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from pydantic import JsonValue

from app.domain.model.agents import AgentSpec
from app.domain.model.commands import Input
from app.domain.model.events import Result
from app.domain.model.ids import AgentName, ContextId, RuntimeName, TaskId
from app.ports.chat_model import ChatModels


class NamedRun(NamedTuple):
    """Whose run an asyncio task is."""

    agent: AgentName
    task_id: TaskId

    @property
    def name(self) -> str:
        """What the asyncio task is called, for whoever sees nothing else of it."""
        return f"run {self.task_id} of {self.agent}"


def read_run_name(name: str) -> NamedRun | None:
    """The run an asyncio task of this name belongs to; None where it is none's."""
    match name.split(" "):
        case ["run", task_id, "of", agent]:
            return NamedRun(AgentName(agent), TaskId(task_id))
    return None


ActivityKind = Literal["workflow", "agent", "step", "model", "tool"]
ActivityId = str


@dataclass(frozen=True, slots=True)
class TaskInput:
    """What a run is given."""

    task_id: TaskId
    input: Input
    parameters: dict[str, JsonValue]
    context_id: ContextId | None = None
    model: str | None = None
    """`provider:name` the task asked for; None leaves it to agent and worker."""

    @property
    def text(self) -> str:
        """The input as one text: itself, or the `text`, `query` or `prompt` of an object."""
        if isinstance(self.input, str):
            return self.input
        for name in ("text", "query", "prompt"):
            if isinstance(value := self.input.get(name), str):
                return value
        return "\n".join(f"{name}: {value}" for name, value in self.input.items())


class StopReason(StrEnum):
    """Why a run is to stop."""

    CANCELED = "canceled"
    DEADLINE_EXCEEDED = "deadline-exceeded"
    LOST = "lost"
    """Another worker may run the task by now."""
    DRAINING = "draining"
    """The worker ends, or gives the task away; it runs again."""
    OVER = "over"
    """The run has ended already: what it left behind, such as a thread, is to end too."""


class RunStopped(asyncio.CancelledError):
    """The run is over for its worker: let it pass, as any cancellation."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(f"the run is stopped: {reason}")
        self.reason = reason


class RunContext(Protocol):
    """What a run may tell and ask of Crewline while it goes on. Call it on the event loop only."""

    @property
    @abstractmethod
    def attempt(self) -> int:
        """The number of this attempt, from 1."""

    @property
    @abstractmethod
    def canceled(self) -> bool:
        """Whether the run has been asked to stop. Look right before each effect on the world."""

    @property
    def stop_reason(self) -> StopReason | None:
        """Why it has been asked to stop."""
        return StopReason.CANCELED if self.canceled else None

    @property
    def max_result_bytes(self) -> int | None:
        """How many bytes a result may have as JSON; None where nobody knows before it is told.

        The task of a larger one fails, with its beginning; the rest stays where its worker runs.
        """
        return None

    @abstractmethod
    def idempotency_key(self, step: str) -> str:
        """A key that is the same for this task and step in every attempt.

        Raises `RunStopped` where another worker may run the task by now.
        """

    @abstractmethod
    async def report(self, message: str, progress: float | None = None) -> None:
        """Tell people how far the run is; `progress` from 0 to 1."""

    @abstractmethod
    async def log(
        self, message: str, level: Literal["debug", "info", "warning", "error"] = "info"
    ) -> None:
        """Leave a line in the task's trace."""

    @abstractmethod
    async def token(self, text: str, parent: ActivityId | None = None) -> None:
        """Pass on a piece of a model's answer as it comes."""

    @abstractmethod
    async def begin(
        self,
        kind: ActivityKind,
        name: str,
        parent: ActivityId | None = None,
        provider: str | None = None,
        *,
        lent: bool | None = None,
    ) -> ActivityId:
        """Something starts: the crew, an agent, a step, a model call, a tool call. `name` names it.

        For a model call `name` is the model and `provider` its provider. One that is not made
        through `within_budget` is booked here: raises `BudgetExceeded` where it would overspend,
        and `Unavailable` while nobody knows. `lent` says which it is where a run makes both.
        """

    @abstractmethod
    async def end(
        self,
        activity: ActivityId,
        *,
        error: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int = 0,
        finish_reason: str | None = None,
        counted: bool = True,
    ) -> None:
        """It is over, well or with an error; a model call says what it took.

        The cached tokens are among the input tokens. Tokens that are not given are not known, and
        those with `counted=False` are an estimate: the call then has no cost, and a budget is
        charged what the call was expected to take.
        """

    def within_budget(self, models: ChatModels) -> ChatModels:
        """The same models for this run, which refuse the call that would overspend.

        They raise `BudgetExceeded`, or `Unavailable` while nobody knows what has been spent. A
        runtime makes every call through them.
        """
        return models


class AgentRuntime(Protocol):
    """One way of running agents. Cancelling `run` stops the work it started."""

    @property
    @abstractmethod
    def name(self) -> RuntimeName:
        """The name that agents and tasks use for it."""

    @abstractmethod
    def check(self, spec: AgentSpec) -> None:
        """Return if this agent can be run here, else raise `InvalidAgent`; asked once, at start."""

    async def warm_up(self) -> None:
        """Do at start what would make the first task slow; nothing, for most."""
        return

    @abstractmethod
    async def run(self, spec: AgentSpec, task: TaskInput, context: RunContext) -> Result:
        """Return what the task was for; raise `RunFailed` saying whether another try could help."""
