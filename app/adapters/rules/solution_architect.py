"""The solution architect: components for what a brief needs, with reasons, sizes and a drawing."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, JsonValue

from app.adapters.rules.analysis import Analysis, Constraint, Question
from app.adapters.rules.brief import read_brief
from app.adapters.rules.business_analyst import analyse
from app.adapters.rules.components import Component, Connection, choose, connect
from app.adapters.rules.mermaid import flowchart
from app.adapters.rules.procedure import Draft
from app.adapters.rules.sizing import Sizing, SizingStatement, size
from app.domain.model.events import Artifact


class Style(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    reason: str
    alternative: str


class Design(BaseModel):
    """The shape of the architect's structured output."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    summary: str
    domain: str | None
    style: Style
    sizing: tuple[SizingStatement, ...]
    components: tuple[Component, ...]
    connections: tuple[Connection, ...]
    constraints: tuple[Constraint, ...]
    open_questions: tuple[Question, ...]
    diagram: str


def solution_architect(text: str, parameters: dict[str, JsonValue]) -> Draft:
    """A design as structured output, and its drawing; `parameters.title` overrides the title."""
    brief = read_brief(text)
    found = analyse(brief, parameters)
    if not brief.is_about_software:
        return _no_design(found)
    sizing = size(brief)
    components = choose(found, sizing)
    connections = connect(components)
    style = _style(components, sizing)
    diagram = flowchart(found.actors, components, connections)
    questions = (*_questions(sizing), *found.open_questions)
    summary = (
        f"{style.name}; components: {len(components)}, capabilities served: "
        f"{len(found.capabilities)}, sizes worked out: {len(sizing.statements)}, "
        f"open questions: {len(questions)}."
    )
    design = Design(
        title=found.title,
        summary=summary,
        domain=found.domain,
        style=style,
        sizing=sizing.statements,
        components=components,
        connections=connections,
        constraints=found.constraints,
        open_questions=questions,
        diagram=diagram,
    )
    drawing = Artifact(name="architecture.mmd", media_type="text/vnd.mermaid", content=diagram)
    return Draft(output=design.model_dump(mode="json"), summary=summary, files=(drawing,))


def _no_design(found: Analysis) -> Draft:
    """A text without software gets a question, not a database."""
    summary = (
        "The text does not describe software needs, so no components are proposed; "
        "say what software should do."
    )
    question = Question(
        question="What should software do here: who enters what, and who needs to see or get what?",
        why="The text does not describe software needs, so nothing could be designed",
        topic="software",
    )
    design = Design(
        title=found.title,
        summary=summary,
        domain=None,
        style=Style(
            name="None: the text does not describe software needs",
            reason="No kind of system is known from it, and no word of it speaks of software",
            alternative="A design by guesswork, which would propose parts that nobody asked for",
        ),
        sizing=(),
        components=(),
        connections=(),
        constraints=found.constraints,
        open_questions=(question, *found.open_questions),
        diagram="flowchart LR\n",
    )
    return Draft(output=design.model_dump(mode="json"), summary=summary)


def _style(components: tuple[Component, ...], sizing: Sizing) -> Style:
    if any(component.id == "broker" for component in components):
        return Style(
            name="Event-driven core beside a modular monolith",
            reason="Events come in bursts, late and repeated; a log between intake and processing "
            "absorbs them, and the rest stays one application",
            alternative="One application that writes events directly - simpler, until the first "
            "burst or replay",
        )
    size_known = (
        f"the computed peak of {sizing.peak_per_second:,.1f} requests a second needs no more"
        if sizing.peak_per_second
        else "no figure in the brief asks for more"
    )
    return Style(
        name="Modular monolith",
        reason=f"One deployable with strict modules is the least that works, and {size_known}",
        alternative="Microservices - justified by several teams or parts that scale differently, "
        "neither of which the brief shows",
    )


def _questions(sizing: Sizing) -> Iterator[Question]:
    if not sizing.statements:
        yield Question(
            question="How many people use it at the peak, and what happens how often?",
            why="Nothing could be sized; the design starts with the least that is safe to run",
            topic="sizing",
        )
