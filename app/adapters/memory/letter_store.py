"""Dead letters of the views in one process."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.ids import LetterId
from app.domain.model.letters import KnownLetter, LetterDiscarded, LetterRedriven, Settlement
from app.domain.model.paging import Place, cursor_at, milliseconds, read_cursor
from app.ports.letter_store import LetterFilter, LetterPage, LetterStore
from app.ports.status_store import Lying


class MemoryLetterStore(LetterStore):
    """Part of a `MemoryStatusStore`, which fills it."""

    def __init__(self) -> None:
        self._letters: dict[LetterId, _Placed] = {}
        self._settled: dict[LetterId, Settlement] = {}

    def add(self, lying: Lying) -> None:
        letter = lying.letter
        placed = _Placed(milliseconds(letter.at), lying.partition, lying.offset, letter)
        known = self._letters.get(letter.id)
        if known is None or known[:3] <= placed[:3]:
            self._letters[letter.id] = placed

    def settle(self, settlement: Settlement) -> None:
        known = self._settled.setdefault(settlement.letter_id, settlement)
        if isinstance(known, LetterDiscarded) and isinstance(settlement, LetterRedriven):
            self._settled[settlement.letter_id] = settlement

    def clear(self) -> None:
        self._letters.clear()
        self._settled.clear()

    async def find(self, letter_id: LetterId) -> KnownLetter | None:
        placed = self._letters.get(letter_id)
        return KnownLetter(placed.letter, self._settled.get(letter_id)) if placed else None

    async def list(
        self, wanted: LetterFilter, limit: int, cursor: str | None, *, oldest_first: bool = False
    ) -> LetterPage:
        behind = read_cursor(cursor) if cursor is not None else None
        known = [
            KnownLetter(_without_bytes(placed.letter), self._settled.get(letter_id))
            for letter_id, placed in self._letters.items()
        ]
        found = [each for each in known if _fits(each, wanted)]
        found.sort(key=_place_of, reverse=not oldest_first)
        if behind is not None:
            found = [
                each
                for each in found
                if (_place_of(each) > behind if oldest_first else _place_of(each) < behind)
            ]
        items = found[:limit]
        return LetterPage(items, cursor_at(_place_of(items[-1])) if len(found) > limit else None)

    async def waiting(self) -> Mapping[DeadLetterReason, int]:
        waiting = self._letters.keys() - self._settled.keys()
        return Counter(self._letters[each].letter.reason for each in waiting)


class _Placed(NamedTuple):
    """A letter, when it was set aside, and where it lies."""

    at: int
    partition: int
    offset: int
    letter: DeadLetter


def _place_of(known: KnownLetter) -> Place:
    return Place(milliseconds(known.letter.at), known.id)


def _without_bytes(letter: DeadLetter) -> DeadLetter:
    origin = replace(letter.origin, key=None, value=None, headers=())
    return letter.model_copy(update={"origin": origin})


def _fits(known: KnownLetter, wanted: LetterFilter) -> bool:
    letter = known.letter
    return (
        wanted.state in (None, known.state)
        and wanted.agent in (None, letter.agent)
        and wanted.reason in (None, letter.reason)
        and (wanted.since is None or wanted.since <= letter.at)
        and (wanted.until is None or letter.at < wanted.until)
    )
