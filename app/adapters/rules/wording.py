"""Looks for known words in a text, with their endings, and notices when they are ruled out."""

import re
from bisect import bisect_left
from itertools import accumulate

from app.adapters.rules.procedure import heed_stop

_ENDINGS = ("", "s", "es", "n", "en", "e", "ed", "ing")
_RULED_OUT_AFTER = re.compile(
    r"\s(?:does|do|is|are|will)(?:\s+not|n't)\s+"
    r"(?:apply|be|needed|required|relevant|wanted|part|in scope)"
    r"|\s(?:is|are)\s+out of scope|\sgilt nicht"
)
_RULED_OUT = re.compile(
    r"\b(?:no|not|without|exclud\w*|except|don't need|do not need|out of scope|kein\w*|ohne|nicht)"
    r"(?:\s+(?:in|the|a|an|any|need|include|including|or|of|online|own))*\s+$"
)


class Wording:
    """A text prepared for finding: same length, lower case, every mark a blank."""

    def __init__(self, text: str, forbidden: tuple[tuple[int, int], ...] = ()) -> None:
        self._text = text
        ordered = sorted(forbidden)
        self._forbidden_from = [first for first, _ in ordered]
        self._forbidden_to = list(accumulate((last for _, last in ordered), max))
        lowered = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
        self._blank = " " + re.sub(r"[^\w]|_", " ", lowered) + " "
        self._marked = " " + lowered

    def find(self, words: tuple[str, ...], *, forbidden: bool = False) -> str | None:
        """The first of these words as the text has it; `word*` also finds what it begins.

        A clause that forbids something does not state it; a rule may stand there: `forbidden`.
        """
        spots = sorted(spot for word in words for spot in self._spots(word))
        stated = [(start, end) for start, end in spots if not self._ruled_out(start, end)]
        if not forbidden:
            stated = [spot for spot in stated if not self._is_forbidden(*spot)]
        if not stated:
            return None
        start, end = stated[0]
        return " ".join(self._text[start - 1 : end - 1].split())

    def rules_out(self, words: tuple[str, ...]) -> bool:
        """Whether the text names one of these words only to say that it is not wanted."""
        spots = [spot for word in words for spot in self._spots(word)]
        return bool(spots) and all(self._ruled_out(start, end) for start, end in spots)

    def forbids(self, words: tuple[str, ...]) -> bool:
        """Whether the text names one of these words only where it forbids something."""
        spots = [spot for word in words for spot in self._spots(word)]
        return bool(spots) and all(self._is_forbidden(*spot) for spot in spots)

    def count(self, words: tuple[str, ...]) -> int:
        """How many different ones of these words the text has."""
        return sum(1 for word in words if self.find((word,)))

    def _spots(self, word: str) -> list[tuple[int, int]]:
        heed_stop()
        prefix = word.endswith("*")
        stem = re.sub(r"[^\w]|_", " ", word.rstrip("*"))
        needle = f" {stem}"
        spots = []
        start = self._blank.find(needle)
        while start >= 0:
            end = start + len(needle)
            rest = self._blank[end : end + 4]
            ending = rest.split(" ", 1)[0] if " " in rest else None
            if prefix:
                end = self._blank.index(" ", end)
                spots.append((start + 1, end))
            elif ending is not None and ending in _ENDINGS:
                spots.append((start + 1, end + len(ending)))
            start = self._blank.find(needle, start + 1)
        return spots

    def _is_forbidden(self, start: int, end: int) -> bool:
        before = bisect_left(self._forbidden_from, start)
        return before > 0 and end - 1 <= self._forbidden_to[before - 1]

    def _ruled_out(self, start: int, end: int) -> bool:
        before = re.split(r"[.,;:!?\n]", self._marked[max(0, start - 40) : start])[-1]
        if _RULED_OUT.search(before if before.endswith(" ") else f"{before} "):
            return True
        return bool(_RULED_OUT_AFTER.match(self._marked[end : end + 40]))
