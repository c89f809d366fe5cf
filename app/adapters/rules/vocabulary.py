"""How people write quantities: the words of `catalog/knowledge/numbers.yaml`, as patterns."""

import re
from functools import cache

from pydantic import BaseModel, ConfigDict

from app.adapters.rules.knowledge_files import read_knowledge


class Vocabulary(BaseModel):
    """Number words, magnitudes, currencies, units of time, months, and words that mislead."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: dict[str, int]
    magnitudes: dict[str, int]
    currencies: dict[str, str]
    time_units: dict[str, tuple[str, ...]]
    seconds: dict[str, float]
    months: dict[str, int]
    qualifiers: dict[str, tuple[str, ...]]
    labels: frozenset[str]
    unit_ends: frozenset[str]
    german: frozenset[str]
    english: frozenset[str]

    def time_unit(self, word: str) -> str | None:
        """The unit of time a word names, in the singular."""
        lowered = word.lower().rstrip(".")
        return next((unit for unit, names in self.time_units.items() if lowered in names), None)

    def qualifier(self, text: str) -> str | None:
        """Whether a number is meant as about, at most or at least."""
        lowered = text.lower().strip()
        return next((kind for kind, names in self.qualifiers.items() if lowered in names), None)


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary.model_validate(read_knowledge("numbers.yaml"))


def any_of(words: list[str]) -> str:
    """A pattern for any of these words, the longest first, with an optional stop after it."""
    ordered = sorted(set(words), key=lambda word: (-len(word), word))
    return "|".join(re.escape(word) for word in ordered)
