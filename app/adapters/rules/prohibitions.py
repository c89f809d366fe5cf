"""Finds the clauses of a text that forbid: what they name is not wanted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.adapters.rules.procedure import heed_stop
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
    found = [*_strong_ones(text)]
    ends = _Ends(_SOON, text)
    for match in _WEAK.finditer(text):
        end = ends.after(match.end())
        found.append(Prohibition(match.start(), match.end(), end, strong=False))
    return (*found, *_listed(text, statements))


def blanked(text: str, prohibitions: tuple[Prohibition, ...]) -> str:
    """The text with stops in place of what is forbidden: same length, every place the same."""
    pieces: list[str] = []
    done = 0
    for start, end in sorted((each.start, each.end) for each in prohibitions):
        if end > done:
            begin = max(start, done)
            pieces += (text[done:begin], "." * (end - begin))
            done = end
    return "".join((*pieces, text[done:]))


def _strong_ones(text: str) -> Iterator[Prohibition]:
    ends, clauses = _Ends(_END, text), _BEGIN.finditer(text)
    clause, following = 0, next(clauses, None)
    for match in _STRONG.finditer(text):
        heed_stop()
        if _FORBIDS_NOTHING.match(text, match.end()):
            continue
        end = ends.after(match.end())
        if not _KEPT.match(text, match.end()):
            yield Prohibition(match.start(), match.end(), end, strong=True)
            continue
        # `bank data must not be stored` names it before
        while following is not None and following.end() <= match.start():
            clause, following = following.end(), next(clauses, None)
        yield Prohibition(clause, clause, end, strong=True)


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


class _Ends:
    """Where what begins at a place ends; places are asked for in order, and text is read once."""

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        self._pattern, self._text = pattern, text
        self._end = -1

    def after(self, start: int) -> int:
        if start > self._end:
            match = self._pattern.search(self._text, start)
            self._end = match.start() if match else len(self._text)
        return self._end
