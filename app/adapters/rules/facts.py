"""What a fact in a text is, and where it stands."""

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from app.adapters.rules.numerals import Number

FactKind = Literal["date", "money", "percentage", "duration", "figure"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something a text states with a number. `text` is exactly what stands there."""

    kind: FactKind
    text: str
    start: int
    end: int
    value: Number | None = None
    upper: Number | None = None
    """The other end of a range."""
    unit: str | None = None
    """users, EUR, month, %: what is counted."""
    per: str | None = None
    qualifier: str | None = None
    """about, at least or at most."""
    date: str | None = None
    """ISO 8601, as exact as the text is: 2026, 2026-Q3, 2026-03 or 2026-03-01."""
    ambiguous: bool = False
    """It could be read otherwise: 1.500, or 03/04/2026."""

    def as_json(self) -> dict[str, JsonValue]:
        """The fact without what it does not have."""
        names: dict[str, JsonValue] = {
            "text": self.text,
            "value": self.value,
            "upper": self.upper,
            "unit": self.unit,
            "per": self.per,
            "qualifier": self.qualifier,
            "date": self.date,
            "ambiguous": self.ambiguous or None,
        }
        return {name: value for name, value in names.items() if value is not None}
