"""Finds figures, dates, money and constraints in a text, and nothing that is not there."""

import re
from typing import Literal

from pydantic import JsonValue

from app.adapters.rules.dates import find_dates
from app.adapters.rules.facts import Fact, FactKind
from app.adapters.rules.numerals import has_decimal_commas
from app.adapters.rules.quantities import find_quantities
from app.adapters.rules.sentences import statements

_GROUPS: dict[FactKind, str] = {
    "figure": "figures",
    "money": "money",
    "percentage": "percentages",
    "duration": "durations",
    "date": "dates",
}

_PROHIBITION = (
    "must not|may not|shall not|cannot|can't|not allowed|forbidden|no longer|never"
    "|darf nicht|dürfen nicht|verboten"
)
_OBLIGATION = (
    "must|shall|has to|have to|is required|are required|mandatory|required to|comply"
    "|compliant|compliance|muss|müssen|verpflichtet|zwingend"
)
_LIMIT = (
    "at least|at most|no more than|up to|maximum|minimum|within|only"
    "|mindestens|höchstens|maximal|nur"
)
ConstraintKind = Literal["prohibition", "obligation", "limit"]
_KINDS: tuple[tuple[ConstraintKind, re.Pattern[str]], ...] = (
    ("prohibition", re.compile(rf"\b(?:{_PROHIBITION})\b", re.IGNORECASE)),
    ("obligation", re.compile(rf"\b(?:{_OBLIGATION})\b", re.IGNORECASE)),
    ("limit", re.compile(rf"\b(?:{_LIMIT})\b", re.IGNORECASE)),
)


def text_facts(text: str) -> dict[str, JsonValue]:
    """What a text states with numbers, and its sentences that bind.

    The lists `figures`, `money`, `percentages`, `durations` and `dates` hold what was found, each
    with its own words as `text`; `constraints` holds sentences with their `kind`.
    """
    found: dict[str, JsonValue] = {name: [] for name in _GROUPS.values()}
    facts = find_facts(text)
    for kind, name in _GROUPS.items():
        found[name] = [fact.as_json() for fact in facts if fact.kind == kind]
    found["constraints"] = [
        {"text": sentence, "kind": kind} for sentence, kind in find_constraints(text)
    ]
    return found


def find_facts(text: str) -> tuple[Fact, ...]:
    """All facts in the order of the text; where two overlap, the surer kind stays."""
    german = has_decimal_commas(text)
    kept: list[Fact] = []
    taken = bytearray(len(text))
    for fact in (*find_dates(text), *find_quantities(text, german=german)):
        if not any(taken[fact.start : fact.end]):
            taken[fact.start : fact.end] = b"\x01" * (fact.end - fact.start)
            kept.append(fact)
    return tuple(sorted(kept, key=lambda fact: fact.start))


def find_constraints(text: str) -> tuple[tuple[str, ConstraintKind], ...]:
    """Sentences that oblige, forbid or limit, with which of the three they do."""
    found = []
    for statement in statements(text):
        kind = constraint_kind(statement.text)
        if kind and not statement.is_heading:
            found.append((statement.text, kind))
    return tuple(found)


def constraint_kind(sentence: str) -> ConstraintKind | None:
    """How a sentence binds, if it does; a prohibition wins over an obligation over a limit."""
    return next((kind for kind, words in _KINDS if words.search(sentence)), None)
