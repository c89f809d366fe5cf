"""How much is done, and what comes of it."""

from dataclasses import dataclass

Figures = dict[str, float | int | None]
"""Names and numbers; None where something did not happen in time."""


@dataclass(frozen=True, slots=True)
class Extent:
    seconds: float
    """Of the open loop, and about of the flood."""
    patience: float
    """Seconds after which what has not happened counts as not happening."""
