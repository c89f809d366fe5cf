"""Draws components as a Mermaid flowchart."""

from app.adapters.rules.analysis import Actor
from app.adapters.rules.components import Component, Connection

_SHAPES = {
    "client": ("([", "])"),
    "service": ("[", "]"),
    "store": ("[(", ")]"),
    "queue": ("[[", "]]"),
    "external": ("{{", "}}"),
    "operation": ("[", "]"),
}


def flowchart(
    actors: tuple[Actor, ...],
    components: tuple[Component, ...],
    connections: tuple[Connection, ...],
) -> str:
    """People on the left, what they use, and what that uses; operations stand apart."""
    lines = ["flowchart LR"]
    drawn = [each for each in components if each.kind != "operation"]
    for position, actor in enumerate(actors, start=1):
        lines.append(f'    actor{position}(("{_label(actor.name)}"))')
    for each in drawn:
        opening, closing = _SHAPES[each.kind]
        lines.append(f'    {each.id}{opening}"{_label(each.name)}"{closing}')
    clients = [each.id for each in components if each.kind == "client"]
    for position in range(1, len(actors) + 1):
        lines += [f"    actor{position} --> {client}" for client in clients]
    lines += [
        f'    {each.source} -->|"{_label(each.label)}"| {each.target}' for each in connections
    ]
    if operations := [each for each in components if each.kind == "operation"]:
        lines.append('    subgraph operations["Around all of it"]')
        lines += [f'        {each.id}["{_label(each.name)}"]' for each in operations]
        lines.append("    end")
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    """A text that cannot end its quotes, in Mermaid's own entities."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;")
