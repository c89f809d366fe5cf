"""Makes the crew of one run: from an agent's section, or by somebody's own factory."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crewai import Agent, Crew, Process, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.constants import DEFAULT_LLM_MODEL
from crewai.llms.base_llm import BaseLLM

from app.adapters.crewai.braces import shielded
from app.adapters.crewai.journal import Journal
from app.adapters.crewai.model import CrewModel
from app.adapters.crewai.quiet import QuietCrew, quieted
from app.adapters.crewai.scope import RunScope
from app.adapters.crewai.section import CrewMember, CrewSection
from app.adapters.crewai.tools import PortTool
from app.domain.model.errors import RunFailed
from app.ports.agent_runtime import TaskInput
from app.ports.chat_model import ChatModels, Model
from app.ports.tools import Tool


@dataclass(frozen=True)
class CrewPlan:
    """All that one run's crew is made of."""

    name: str
    section: CrewSection
    """With its descriptions rendered."""
    task: TaskInput
    models: ChatModels
    model: Model | None
    """None only for a factory whose crew brings its own."""
    window: int | None
    tools: Mapping[str, Tool]
    tool_timeout: float

    def build(self, scope: RunScope, journal: Journal) -> tuple[Crew, dict[str, Any] | None]:
        """The crew, new for each run, and the inputs to start it with."""
        llm = None
        if self.model is not None:
            llm = CrewModel.of(self.models, self.model, scope, journal, self.window)
        if self.section.factory is not None:
            return _adopted(self.section.factory, llm), self._inputs()
        if llm is None:
            raise RunFailed("invalid", f"{self.name} has no model", retryable=False)
        members = {
            key: self._member(member, llm, scope, journal)
            for key, member in self.section.agents.items()
        }
        tasks: dict[str, Task] = {}
        for step in self.section.tasks:
            seen = {"context": [tasks[name] for name in step.context]} if step.context else {}
            tasks[step.name] = Task(
                name=step.name,
                description=shielded(step.description),
                expected_output=shielded(step.expected_output),
                agent=members[step.agent],
                **seen,
            )
        crew = QuietCrew(
            name=self.name,
            agents=list(members.values()),
            tasks=list(tasks.values()),
            process=Process(self.section.process),
            manager_llm=llm if self.section.process == "hierarchical" else None,
            cache=False,
            memory=False,
            planning=False,
            tracing=False,
            verbose=False,
        )
        return crew, None  # no inputs: CrewAI leaves every brace alone

    def _member(
        self, member: CrewMember, llm: CrewModel, scope: RunScope, journal: Journal
    ) -> Agent:
        tools = [
            PortTool.of(self.tools[name], scope, journal, self.tool_timeout)
            for name in member.tools
        ]
        made = Agent(
            role=member.role,
            goal=member.goal,
            backstory=member.backstory,
            llm=llm,
            tools=tools,
            max_iter=member.max_iter,
            allow_delegation=member.allow_delegation,
            cache=False,
            verbose=False,
        )
        _tame(made)
        return made

    def _inputs(self) -> dict[str, Any]:
        fields = self.task.input if isinstance(self.task.input, dict) else {}
        named = {"input": self.task.text, "text": self.task.text}
        given = {**fields, **self.task.parameters, **named}
        return {
            name: shielded(value) if isinstance(value, str) else value
            for name, value in given.items()
        }


def _adopted(factory: str, llm: CrewModel | None) -> Crew:
    """Somebody's crew, under our model and our rules about retries."""
    crew = _made(load(factory), llm)
    members = [*crew.agents, *([crew.manager_agent] if crew.manager_agent else [])]
    for member in members:
        if llm is not None and _is_default(member.llm):
            member.llm = llm
        _tame(member)
    if llm is not None and crew.process == Process.hierarchical and _is_default(crew.manager_llm):
        crew.manager_llm = llm
    return quieted(crew)


def load(factory: str) -> Callable[..., object]:
    """The callable behind `module:attribute`; raise `RunFailed` where there is none."""
    module, _, attribute = factory.partition(":")
    try:
        found: object = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise RunFailed("invalid", f"no crew at {factory}: {error}", retryable=False) from error
    if not callable(found):
        raise RunFailed("invalid", f"{factory} cannot be called", retryable=False)
    return found


def _made(factory: Callable[..., object], llm: CrewModel | None) -> Crew:
    takes_llm = "llm" in inspect.signature(factory).parameters
    made = factory(llm=llm) if takes_llm else factory()
    if not isinstance(made, Crew) and callable(getattr(made, "crew", None)):
        made = made.crew()  # type: ignore[attr-defined]  # a class written with @CrewBase
    if inspect.iscoroutine(made):
        made.close()
        raise RunFailed("invalid", f"{factory} must be a plain `def`", retryable=False)
    if not isinstance(made, Crew):
        said = f"{factory} returned no crewai.Crew, but a {type(made).__name__}"
        raise RunFailed("invalid", said, retryable=False)
    return made


def _is_default(llm: object) -> bool:
    """Whether nobody chose this model: CrewAI then takes one of OpenAI's, whatever it costs."""
    return llm is None or (isinstance(llm, BaseLLM) and llm.model == DEFAULT_LLM_MODEL)


def _tame(member: BaseAgent) -> None:
    """Make an agent try nothing twice, as the worker does that, print nothing and exit nothing."""
    member.max_rpm = None
    member.verbose = False  # it prints prompts
    if isinstance(member, Agent):
        member.max_retry_limit = 0
        member.respect_context_window = True  # else a text too long raises SystemExit
