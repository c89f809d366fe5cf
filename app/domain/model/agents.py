"""What an agent is, and the catalog that finds one or refuses."""

from collections.abc import Callable, Container, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from app.domain.model.budgets import UNLIMITED, AgentBudget, StrictBudget, no_limit
from app.domain.model.commands import SubmitTask, TaskRequest
from app.domain.model.errors import (
    InvalidAgent,
    InvalidInput,
    NotAllowed,
    UnknownAgent,
    UnknownRuntime,
    Violation,
)
from app.domain.model.ids import AgentName, AgentNameField, RuntimeName, RuntimeNameField
from app.domain.model.numbers import A_NUMBER
from app.domain.model.retries import RetryPolicy

Schema = dict[str, JsonValue]
_BY_THEMSELVES = frozenset({RuntimeName("python")})
"""Runtimes whose agents call models by themselves."""
Check = Callable[[JsonValue], Coroutine[Any, Any, tuple[Violation, ...]]]
"""Says where a value does not fit its schema; nothing when it fits."""


def default_input_schema(max_characters: int = 100_000) -> Schema:
    """What an agent takes whose file says nothing of it: a text or an object, not empty."""
    return {"type": ["string", "object"], "minLength": 1, "maxLength": max_characters}


class AgentSpec(BaseModel):
    """One agent, as its YAML file describes it. Adding an agent is adding a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: AgentNameField
    description: Annotated[str, StringConstraints(min_length=1)]
    capabilities: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    """Words that bear on routing a question to this agent."""
    role: str = ""
    goal: str = ""
    backstory: str = ""
    instructions: str = ""
    """What a run is asked to do, as a Jinja2 template over `input` and `parameters`."""
    expected_output: str = ""
    tools: tuple[str, ...] = ()
    model: str | None = None
    """`provider:name` of the chat model this agent prefers."""
    models: tuple[str, ...] = ()
    """Other models that a task may ask it to use; `*` and `?` stand for anything."""
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400), A_NUMBER] = 3_600
    budget: AgentBudget = UNLIMITED
    """What it may spend on models; without one, what tasks ask for."""
    max_backlog: Annotated[int, Field(ge=1), A_NUMBER] | None = None
    """How many of its tasks may wait before more are refused; without one, the gateway's."""
    retry: RetryPolicy = RetryPolicy()
    isolation: Literal["thread", "process"] = "thread"
    """Whether a run has a process of its own, which can be killed and may crash by itself."""
    input_schema: Schema = default_input_schema()
    output_schema: Schema = {}
    runtimes: Annotated[dict[RuntimeNameField, dict[str, JsonValue]], Field(min_length=1)]
    """For each runtime that can run it, the settings which that runtime reads."""


@dataclass(frozen=True, slots=True)
class AskerRules:
    """What whoever asks for a task may choose, beside what the agent's file says."""

    models: tuple[str, ...] = ("*",)
    """Models that a task of any agent may ask for; `*` and `?` stand for anything."""
    default_model: str | None = None
    """The model of an agent that names none."""
    task_budget: StrictBudget | None = None
    """What a task may spend whose agent's file does not say."""
    unmetered: Literal["warn", "refuse"] = "warn"
    """What becomes of a task with a budget that nobody would keep."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A spec whose schemas are ready to check with."""

    spec: AgentSpec
    check_input: Check = field(repr=False)
    rules: AskerRules = AskerRules()

    @property
    def name(self) -> AgentName:
        return self.spec.name

    async def accept(self, body: TaskRequest | SubmitTask) -> None:
        """Return if a task fits this agent.

        Else raise `InvalidInput`, `UnknownRuntime` or `NotAllowed`.
        """
        if body.runtime is not None and body.runtime not in self.spec.runtimes:
            known = ", ".join(self.spec.runtimes)
            raise UnknownRuntime(f"{self.name} has no runtime {body.runtime!r}; it has: {known}")
        if body.budget is not None and (unknown := body.budget.unknown):
            raise InvalidInput(f"budget: {no_limit(unknown[0])}")
        self._require_allowed_model(body.model)
        runtimes = self.spec.runtimes if body.runtime is None else (body.runtime,)
        if not any(self.meters(RuntimeName(name)) for name in runtimes):
            self.require_kept_budget(body)
        if violations := await self.check_input(body.input):
            first = violations[0]
            where = f"input{first.pointer}" if first.pointer else "input"
            raise InvalidInput(f"{where}: {first.detail}", violations)

    def _require_allowed_model(self, model: str | None) -> None:
        own = self.spec.model or self.rules.default_model
        if model is None or model == own:
            return
        others = (*self.spec.models, *self.rules.models)
        if not any(fnmatchcase(model, each) for each in others):
            known = ", ".join([*([own] if own else []), *others]) or "none"
            raise NotAllowed(
                "model", f"a task of {self.name} may not ask for {model!r}; it may for: {known}"
            )

    def meters(self, runtime: RuntimeName) -> bool:
        """Whether what it spends on models is known, so that a budget can be kept.

        Code that calls models by itself has to tell of it, and its agent's file says that it does.
        """
        return runtime not in _BY_THEMSELVES or self.spec.runtimes[runtime].get("meters") is True

    def require_kept_budget(self, body: TaskRequest | SubmitTask) -> None:
        """Raise `NotAllowed` for a budget that nobody would keep, where such are refused."""
        if self.rules.unmetered == "refuse" and self.has_budget(body):
            raise NotAllowed(
                "budget",
                f"{self.name} calls models by itself, and its file does not say that it counts "
                "them (`meters: true`): nobody would keep a budget",
            )

    def with_default_budget(self) -> "Agent":
        """With a budget for each task where its file names none and somebody would keep it."""
        budget = self.rules.task_budget
        metered = any(self.meters(RuntimeName(name)) for name in self.spec.runtimes)
        if budget is None or self.spec.budget.task is not None or not metered:
            return self
        allowed = self.spec.budget.model_copy(update={"task": budget})
        return replace(self, spec=self.spec.model_copy(update={"budget": allowed}))

    def has_budget(self, body: TaskRequest | SubmitTask) -> bool:
        """Whether something limits what a task may spend."""
        limits = (body.budget, self.spec.budget.task, self.spec.budget.day)
        return any(each is not None and each.limits_something for each in limits)

    def runtime_for(
        self, asked: RuntimeName | None, available: Iterable[RuntimeName]
    ) -> RuntimeName:
        """The runtime to use: the asked one, else the first available one this agent has."""
        usable = [name for name in available if name in self.spec.runtimes]
        if asked is None and usable:
            return usable[0]
        if asked is not None and asked in usable:
            return asked
        wanted = f"runtime {asked!r}" if asked else f"any of {', '.join(self.spec.runtimes)}"
        raise UnknownRuntime(f"{self.name} needs {wanted}, which this worker does not have")


class AgentCatalog:
    """The agents there are, by name; raises `InvalidAgent` where two cannot be told apart."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._agents: Mapping[AgentName, Agent] = {
            agent.name: agent for agent in sorted(agents, key=lambda each: each.name)
        }
        if clashing := clashes(self):
            raise InvalidAgent(*clashing.values())

    def __iter__(self) -> Iterator[Agent]:
        return iter(self._agents.values())

    def require(self, name: AgentName) -> Agent:
        """The agent of that name; raise `UnknownAgent` naming those there are."""
        if agent := self._agents.get(name):
            return agent
        known = ", ".join(self._agents) or "none"
        raise UnknownAgent(f"no agent is called {name[:100]!r}; there are: {known}")

    def without(self, names: Container[AgentName]) -> "AgentCatalog":
        """The catalog less these agents."""
        return AgentCatalog(agent for agent in self if agent.name not in names)


def clashes(agents: Iterable[Agent]) -> dict[AgentName, str]:
    """The agents whose tasks could not be told apart from another's, each with the reason.

    An agent's tasks travel under `agent` and `agent.runtime`, and Kafka counts `.` and `_` as one:
    the agent `research_rules` and the runtime `rules` of the agent `research` are the same to it.
    """
    taken: dict[str, tuple[AgentName, str]] = {}
    found: dict[AgentName, str] = {}
    for agent in agents:
        for path in (agent.name, *(f"{agent.name}.{runtime}" for runtime in agent.spec.runtimes)):
            other, name = taken.setdefault(path.replace(".", "_"), (agent.name, path))
            if other != agent.name and agent.name not in found:
                found[agent.name] = (
                    f"{agent.name}: name: {path!r} and {name!r} of the agent {other} are the same "
                    "to Kafka, which counts `.` and `_` as one; rename one of them"
                )
    return found
