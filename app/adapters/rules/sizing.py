"""Sizes a design by the text's own figures, showing every sum and every assumption."""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from app.adapters.rules import quantity_meanings
from app.adapters.rules.brief import Brief
from app.adapters.rules.templates import number

# Planning values, always shown as assumptions; measuring replaces them.
_DAILY_SHARE = 0.2
_REQUESTS_A_VISIT = 30
_PEAK_FACTOR = 10
_REQUESTS_AN_INSTANCE = 100


class SizingStatement(BaseModel):
    """A size, the sum that led to it, and what was assumed for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statement: str
    arithmetic: str
    assumption: str | None = None


@dataclass(frozen=True, slots=True)
class Sizing:
    statements: tuple[SizingStatement, ...]
    peak_per_second: float
    """Requests at the peak; 0 where the text gives no number of users."""
    availability: float
    """The highest percentage the text asks for; 0 where it asks for none."""


def size(brief: Brief) -> Sizing:
    levels = quantity_meanings.availabilities(brief)
    return Sizing(
        statements=tuple(_statements(brief)),
        peak_per_second=_peak(brief),
        availability=float(max((level.value or 0 for level in levels), default=0)),
    )


def _peak(brief: Brief) -> float:
    people = quantity_meanings.users(brief)
    if people is None:
        return 0
    count = people.upper or people.value or 0
    return count * _DAILY_SHARE * _REQUESTS_A_VISIT / 86_400 * _PEAK_FACTOR


def _statements(brief: Brief) -> Iterator[SizingStatement]:
    people = quantity_meanings.users(brief)
    if people is not None:
        count = people.upper or people.value or 0
        peak = _peak(brief)
        instances = max(2, -(-int(peak) // _REQUESTS_AN_INSTANCE) + 1)
        yield SizingStatement(
            statement=f"{people.text} make about {number(round(peak, 1))} requests a second at the "
            f"peak: {instances} instances of the application, one of them to spare.",
            arithmetic=f"{number(count)} x {_DAILY_SHARE:.0%} a day x {_REQUESTS_A_VISIT} requests "
            f"/ 86,400 s x {_PEAK_FACTOR} = {number(round(peak, 1))}/s; "
            f"at {_REQUESTS_AN_INSTANCE}/s an instance",
            assumption=f"{_DAILY_SHARE:.0%} come on a day, a visit makes {_REQUESTS_A_VISIT} "
            f"requests, the peak is {_PEAK_FACTOR} times the average, an instance serves "
            f"{_REQUESTS_AN_INSTANCE} requests a second",
        )
    for rate in quantity_meanings.rates(brief):
        average = quantity_meanings.per_second(rate)
        yield SizingStatement(
            statement=f"{rate.text} is {number(round(average, 2))} a second on average and "
            f"{number(round(average * _PEAK_FACTOR, 1))} at the peak.",
            arithmetic=f"{number(rate.upper or rate.value or 0)} per {rate.per} = "
            f"{number(round(average, 2))}/s; x {_PEAK_FACTOR} = "
            f"{number(round(average * _PEAK_FACTOR, 1))}/s",
            assumption=f"the peak is {_PEAK_FACTOR} times the average, and each causes one message",
        )
    for level in quantity_meanings.availabilities(brief):
        down = round(43_200 * (100 - (level.value or 0)) / 100, 1)
        yield SizingStatement(
            statement=f"{level.text} leaves {number(down)} minutes a month: "
            + ("recovery must be automatic." if down < 60 else "recovery by hand is possible."),
            arithmetic=f"43,200 min x (100 - {number(level.value or 0)}) / 100 "
            f"= {number(down)} min",
            assumption="a month of 30 days, planned downtime included",
        )
