"""What pydantic finds wrong, in words for whoever sent it."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from app.domain.model.budgets import StrictBudget
from app.entrypoints.gateway.problems import MOST_VIOLATIONS, Violation

_OF_KIND = {
    "missing": "is missing",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be an object",
    "uuid_parsing": "must be a UUID",
}
_NAME = "must be 1 to 63 lower-case letters, digits and _ or -, beginning with a letter"
_KNOWN_INSIDE = {"budget": tuple(StrictBudget.model_fields)}
_LONGEST_NAME = 100
"""Characters of an unknown name that is compared with those known."""
IN_WORDS = {
    "agent": _NAME,
    "runtime": _NAME,
    "input": "must be a text or an object",
    "id": "must be a UUID, such as 0192f0c1-7b2a-7c3d-8e4f-5a6b7c8d9e0f",
    "labels": "must be at most 32 pairs of a name (1 to 63 letters, digits and . _ / -, beginning "
    "with a letter or digit) and a text (256 characters at most)",
    "after": "must be `<attempt>.<sequence>`, as in the id of an event: 1.4",
    "cursor": "not one that a page has given",
    "label": "must be `key:value`",
    "model": "must be `provider:name`, such as openai:gpt-4.1-mini",
}


def in_body(errors: Iterable[Mapping[str, Any]], known: Iterable[str]) -> list[Violation]:
    """Violations of a body whose top level may hold the `known` fields; one for each place.

    No more than are told of: to say what was meant costs much more than to find it wrong.
    """
    found: dict[str, Violation] = {}
    for error in _misspelt_first(errors):
        if len(found) == MOST_VIOLATIONS:
            break
        place = tuple(str(part) for part in error["loc"] if part != "[key]")
        if place and place[0] == "input":  # the rest names the members of a union, not the body
            place = place[:1]
        pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in place)
        detail = _detail(error, place, known)
        found.setdefault(pointer, Violation(pointer=pointer, detail=detail))
    return list(found.values())


def in_query(errors: Iterable[Mapping[str, Any]], known: Iterable[str]) -> list[Violation]:
    """Violations of the query's parameters; one for each."""
    found: dict[str, Violation] = {}
    for error in _misspelt_first(errors):
        if len(found) == MOST_VIOLATIONS:
            break
        place = tuple(str(part) for part in error["loc"][1:])
        name = place[0] if place else ""
        detail = _detail(error, place, known)
        found.setdefault(name, Violation(parameter=name, detail=detail))
    return list(found.values())


def _misspelt_first(errors: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A misspelt name explains the missing one, so it is told first."""
    return sorted(errors, key=lambda error: error["type"] != "extra_forbidden")


def _detail(error: Mapping[str, Any], place: tuple[str, ...], known: Iterable[str]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        inside = _KNOWN_INSIDE.get(place[0], known) if len(place) > 1 else known
        return unknown(place[-1], list(inside))
    if kind != "missing" and place and place[0] in IN_WORDS:
        return IN_WORDS[place[0]]
    if kind in _OF_KIND:
        return _OF_KIND[kind]
    message: str = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return (message[:1].lower() + message[1:]).replace("should ", "must ", 1)


def unknown(name: str, known: list[str]) -> str:
    """What to say of a name that is none of those known."""
    if not known:
        return "is not known; there are none here"
    near = get_close_matches(name[:_LONGEST_NAME].lower(), known, n=1, cutoff=0.6)
    if near:
        return f"is not known; did you mean {near[0]!r}?"
    return f"is not known; there are: {', '.join(known)}"
