"""Chooses building blocks for what an analysis found, each with who asked for it."""

from collections.abc import Iterator
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from app.adapters.rules.analysis import Analysis
from app.adapters.rules.knowledge_files import read_knowledge
from app.adapters.rules.sizing import Sizing


class KnownComponent(BaseModel):
    """One building block as `catalog/knowledge/components.yaml` describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    kind: Literal["client", "service", "store", "queue", "external", "operation"]
    choice: str
    reason: str
    alternative: str
    always: bool = False
    needs: tuple[str, ...] = ()
    laws: tuple[str, ...] = ()
    when: Literal["many_users", "high_availability"] | None = None
    needs_component: str | None = None
    """Makes sense only beside this one."""
    links: dict[str, str] = {}
    from_api: str | None = None
    """How the application uses it."""


class Component(BaseModel):
    """A building block that was chosen, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    kind: str
    choice: str
    because: tuple[str, ...]
    reason: str
    alternative: str


class Connection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    target: str
    label: str


@cache
def known_components() -> tuple[KnownComponent, ...]:
    known = read_knowledge("components.yaml")
    return TypeAdapter(tuple[KnownComponent, ...]).validate_python(known)


def choose(found: Analysis, sizing: Sizing) -> tuple[Component, ...]:
    """In the order of the knowledge; a block that only supports an absent one is left out."""
    chosen: dict[str, Component] = {}
    for known in known_components():
        because = tuple(_askers(known, found, sizing))
        if because:
            chosen[known.id] = Component(
                id=known.id,
                name=known.name,
                kind=known.kind,
                choice=known.choice,
                because=because,
                reason=known.reason,
                alternative=known.alternative,
            )
    for known in known_components():
        if known.needs_component and known.needs_component not in chosen:
            chosen.pop(known.id, None)
    return tuple(chosen.values())


def connect(components: tuple[Component, ...]) -> tuple[Connection, ...]:
    """The lines between chosen blocks."""
    chosen = {component.id for component in components}
    lines: list[Connection] = []
    for known in known_components():
        if known.id not in chosen:
            continue
        if known.from_api:
            lines.append(Connection(source="api", target=known.id, label=known.from_api))
        lines.extend(
            Connection(source=known.id, target=target, label=label)
            for target, label in known.links.items()
            if target in chosen
        )
    linked = {each.target for each in lines}
    if "notify" in chosen and "notify" not in linked:
        lines.append(Connection(source="api", target="notify", label="sends"))
    return tuple(lines)


def _askers(known: KnownComponent, found: Analysis, sizing: Sizing) -> Iterator[str]:
    if known.always:
        yield "every capability"
    for capability in found.capabilities:
        if capability.key in known.needs and capability.priority != "could":
            yield f"{capability.id} {capability.name} ({capability.basis})"
    for constraint in found.constraints:
        if constraint.name in known.laws:
            yield constraint.name
    if known.when == "many_users" and sizing.peak_per_second >= 50:
        yield f"the peak of {sizing.peak_per_second:,.0f} requests a second"
    if known.when == "high_availability" and sizing.availability >= 99.9:
        yield f"{sizing.availability:g} % availability"
