"""Finds the clauses of a text that forbid: what they name is not wanted."""

import re
from dataclasses import dataclass

from app.adapters.rules.sentences import Statement

_STRONG = re.compile(
    r"\b(?:(?:must|shall|should|may|will)\s+(?:not|never)|mustn't|shouldn't|(?:do|does)\s+not|don't"
    r"|doesn't|never|not\s+allowed\s+to|(?:is\s+)?forbidden\s+to|out\s+of\s+scope\s*:|non-goals?\s*:"
    r"|(?:darf|dürfen|soll|sollen)\s[^.;:!?\n]{0,60}?\b(?:nicht|nie|niemals|kein(?:e[nmrs]?)?)"
    r"|niemals|keinesfalls)\b(?:\s*:)?",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"\b(?:without|no(?!\s+(?:more|later|longer|less|fewer|matter|one|longer)\b)|ohne"
    r"|kein(?:e[nmrs]?)?)\b",
    re.IGNORECASE,
)
# `never lose a booking` wants the booking, and `we do not know who has it` forbids nothing.
_FORBIDS_NOTHING = re.compile(
    r"\s+(?:be\s+)?(?:los[et]|lost|delay|break|broken|forg[eo]t|miss|exceed|block|fail|leak|slow|harm"
    r"|damage|duplicate|know|have\s+to|see|find|get|remember|understand|come|always|only|just)",
    re.IGNORECASE,
)
_KEPT = re.compile(
    r"\s+(?:ever\s+)?(?:be\s+(?:stored|kept|saved|collected|recorded|logged|tracked|processed)"
    r"|(?:gespeichert|erfasst|verarbeitet|aufbewahrt|gesammelt)\b)",
    re.IGNORECASE,
)
_END = re.compile(
    r"[.;!?](?=\s|$)|\n\s*\n|\n\s*[-*•]|,?\s\b(?:but|however|aber|sondern)\b"
    r"|,?\s(?:and\s|und\s)?(?:(?:it|we|they|es|wir)\s)?(?:must|should|shall|can|muss|soll)\b|\Z"
)
_SOON = re.compile(
    r"[,.;:!?](?=\s|$)|\n|\s(?:but|however|aber|sondern)\b"
    r"|\s(?:and|und)\s(?=(?:manage|track|store|record|register|organi[sz]e|collect|list|keep|lend"
    r"|sell|send|show|must|should|can|it|we|they)s?\b)|\Z"
)
_BEGIN = re.compile(r"[.;:!?,]\s|\n|\s(?:and|but|und|aber)\s")
_HEADING = re.compile(
    r"(?:it |the \w+ |we )?(?:must|shall|should|do|does|may) not\b|never\b|out of scope|non-goals"
    r"|not (?:in scope|wanted|included|needed)\b|prohibited\b|forbidden\b|excluded\b|darf nicht\b"
    r"|nicht\b|don'?ts?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Prohibition:
    """A clause that forbids, from its mark to its end; what stands between is not wanted."""

    start: int
    mark_end: int
    end: int
    strong: bool
    """`must not` binds its whole sentence; `without` and `no` only what they stand before."""


def find_prohibitions(text: str, statements: tuple[Statement, ...]) -> tuple[Prohibition, ...]:
    found = [each for match in _STRONG.finditer(text) if (each := _strong(text, match))]
    for match in _WEAK.finditer(text):
        end = _end(_SOON, text, match.end())
        found.append(Prohibition(match.start(), match.end(), end, strong=False))
    return (*found, *_listed(text, statements))


def blanked(text: str, prohibitions: tuple[Prohibition, ...]) -> str:
    """The text with stops in place of what is forbidden: same length, every place the same."""
    chars = list(text)
    for each in prohibitions:
        chars[each.start : each.end] = "." * (each.end - each.start)
    return "".join(chars)


def _strong(text: str, match: re.Match[str]) -> Prohibition | None:
    if _FORBIDS_NOTHING.match(text, match.end()):
        return None
    end = _end(_END, text, match.end())
    if _KEPT.match(text, match.end()):  # `bank data must not be stored` names it before
        before = [each.end() for each in _BEGIN.finditer(text, 0, match.start())]
        start = before[-1] if before else 0
        return Prohibition(start, start, end, strong=True)
    return Prohibition(match.start(), match.end(), end, strong=True)


def _listed(text: str, statements: tuple[Statement, ...]) -> list[Prohibition]:
    """The items below a heading that forbids."""
    found = []
    below = False
    for position, each in enumerate(statements):
        if each.is_heading:
            below = bool(_HEADING.match(each.text))
        elif not each.is_item:
            below = False
        elif below:
            following = statements[position + 1 : position + 2]
            end = following[0].start if following else len(text)
            found.append(Prohibition(each.start, each.start, end, strong=True))
    return found


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    match = pattern.search(text, start)
    return match.start() if match else len(text)
