"""What a crew put out, in plain types."""

from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What one task of the crew put out."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class CrewOutcome:
    """The crew's last words, and each task's; `data` where somebody's own crew made data of it."""

    text: str
    data: JsonValue
    steps: tuple[StepOutput, ...]
