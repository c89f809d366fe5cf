"""Finds dates: 2026-03-01, 1 March 2026, 01.03.2026, Q3 2026, by 2027."""

import re
from collections.abc import Iterator
from datetime import date
from functools import cache

from app.adapters.rules.facts import Fact
from app.adapters.rules.vocabulary import any_of, vocabulary

_YEAR = r"(?P<year>(?:19|20)\d{2})"
_QUARTERS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    month = rf"(?P<month>{any_of(list(vocabulary().months))})\.?"
    long_months = any_of([name for name in vocabulary().months if len(name) > 3])
    day = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|\.)?"
    shapes = (
        r"\b(?P<year>\d{4})-(?P<m>\d{2})-(?P<day>\d{2})\b",
        r"\b(?P<day>\d{1,2})\.(?P<m>\d{1,2})\.(?P<year>(?:19|20)\d{2})\b",
        rf"\b{day}\s(?:of\s)?{month}\s{_YEAR}\b",
        rf"\b{month}\s{day},?\s{_YEAR}\b",
        rf"\b{month}\s{_YEAR}\b",
        rf"\bQ(?P<quarter>[1-4])[\s/-]?(?:of\s)?(?:{_YEAR})?\b",
        rf"\b(?P<ordinal>{'|'.join(_QUARTERS)})\squarter(?:\s(?:of\s)?{_YEAR})?\b",
        r"\b\d{1,2}/\d{1,2}/\d{4}\b",
        r"\b(?:in|by|until|since|before|after|from|during|end of|start of|early|late|mid|year|bis"
        rf"|ab|seit|ende|anfang|jahr)[\s-]{_YEAR}\b(?![.,]?\d)",
        rf"\b(?:in|by|until|before|end of|bis|ende)\s(?P<month>{long_months})\b",
    )
    return tuple(re.compile(shape, re.IGNORECASE) for shape in shapes)


def find_dates(text: str) -> Iterator[Fact]:
    """Every date, earliest shape first; overlaps are for the caller to drop."""
    for pattern in _patterns():
        for match in pattern.finditer(text):
            parts = match.groupdict()
            iso = _iso(parts)
            if iso is None and parts.get("day"):
                continue  # 45.13.2026 looks like a date and is none
            unclear = iso is None or iso.startswith("-")
            yield Fact(
                kind="date",
                text=match[0],
                start=match.start(),
                end=match.end(),
                date=None if unclear else iso,
                ambiguous=unclear,
            )


def _iso(parts: dict[str, str | None]) -> str | None:
    year = parts.get("year")
    named = (parts.get("month") or "").lower()
    month = vocabulary().months.get(named) or int(parts.get("m") or 0)
    day = int(parts.get("day") or 0)
    quarter = parts.get("quarter") or _QUARTERS.get((parts.get("ordinal") or "").lower())
    if year is None:
        return None
    if quarter:
        return f"{year}-Q{quarter}"
    if not month:
        return year
    if not day:
        return f"{year}-{month:02d}"
    try:
        return date(int(year), month, day).isoformat()
    except ValueError:
        return None
