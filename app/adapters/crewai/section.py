"""What an agent's YAML may say under `runtimes: crewai:`."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.adapters.crewai.templates import check_template
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import InvalidAgent
from app.domain.model.ids import RuntimeName

NAME = RuntimeName("crewai")
_A_TEXT = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CrewMember(_Part):
    """One agent of the crew, in CrewAI's words."""

    role: _A_TEXT
    goal: _A_TEXT
    backstory: str = ""
    tools: tuple[str, ...] = ()
    max_iter: Annotated[int, Field(ge=1, le=100)] = 15
    """How many rounds of tools, before the model is told to answer with what it has."""
    allow_delegation: bool = False


class CrewStep(_Part):
    """One task of the crew. Description and expected output are Jinja2 templates."""

    name: _A_TEXT
    description: _A_TEXT
    expected_output: _A_TEXT
    agent: str
    context: tuple[str, ...] = ()
    """The earlier tasks whose outputs it sees; none given, it sees the one before it."""


class CrewSection(_Part):
    """A crew: its agents and tasks, or the factory of a crew that somebody wrote in Python.

    With neither, the agent itself is a crew of one.
    """

    agents: dict[str, CrewMember] = {}
    tasks: tuple[CrewStep, ...] = ()
    process: Literal["sequential", "hierarchical"] = "sequential"
    factory: Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")] | None = None
    """`module:attribute` of a callable that returns a `crewai.Crew`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.factory and (self.agents or self.tasks):
            raise ValueError("a factory brings its own agents and tasks")
        if bool(self.agents) != bool(self.tasks):
            raise ValueError("agents and tasks come together")
        earlier: list[str] = []
        for step in self.tasks:
            if step.agent not in self.agents:
                raise ValueError(f"task {step.name!r} is for {step.agent!r}, who is not an agent")
            if unknown := set(step.context) - set(earlier):
                raise ValueError(f"task {step.name!r} needs {min(unknown)!r}, no task before it")
            if step.name in earlier:
                raise ValueError(f"two tasks are called {step.name!r}")
            earlier.append(step.name)
        return self


def section_of(spec: AgentSpec) -> CrewSection:
    """The agent's section, with the agent as a crew of one where it names no other.

    Raises `InvalidAgent` in one line.
    """
    settings = spec.runtimes.get(NAME)
    if settings is None:
        raise InvalidAgent(f"{spec.name} has no section for the runtime {NAME}")
    try:
        section = CrewSection.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("runtimes", NAME, *first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise InvalidAgent(f"{spec.name}: {where}: {what}") from error
    if not section.factory and not section.agents:
        section = _crew_of_one(spec)
    for step in section.tasks:
        for text in (step.description, step.expected_output):
            check_template(text, f"{spec.name}: task {step.name!r}")
    return section


def _crew_of_one(spec: AgentSpec) -> CrewSection:
    member = CrewMember(
        role=spec.role or spec.name,
        goal=spec.goal or spec.description,
        backstory=spec.backstory,
        tools=spec.tools,
    )
    step = CrewStep(
        name=spec.name,
        description=spec.instructions or "{{ text }}",
        expected_output=spec.expected_output or "A complete answer.",
        agent=spec.name,
    )
    return CrewSection(agents={spec.name: member}, tasks=(step,))
