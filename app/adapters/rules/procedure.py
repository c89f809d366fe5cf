"""What a procedure is: code that works a text out into a draft, the same one every time."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from app.domain.model.events import Artifact


@dataclass(frozen=True, slots=True)
class Draft:
    """What a procedure worked out; the agent's template makes a document of `output`."""

    output: dict[str, JsonValue]
    summary: str
    """What was found, in one line for whoever watches the run."""
    files: tuple[Artifact, ...] = ()


Procedure = Callable[[str, dict[str, JsonValue]], Draft]
"""Takes the input's text and the task's parameters. No clock, no randomness, no network."""
