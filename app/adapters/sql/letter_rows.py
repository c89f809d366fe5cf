"""Dead letters as rows, and back."""

import base64
import json
from dataclasses import replace
from typing import NamedTuple

from app.domain.model.dead_letters import DeadLetter
from app.domain.model.letters import (
    KnownLetter,
    LetterDiscarded,
    LetterRedriven,
    LetterState,
    Settlement,
)
from app.domain.model.paging import milliseconds
from app.ports.status_store import Lying

_SETTLEMENTS: dict[LetterState, type[Settlement]] = {
    kind.STATE: kind for kind in (LetterRedriven, LetterDiscarded)
}


class LetterRow(NamedTuple):
    """A row of `crewline_dead_letters`, in the order of its columns; each half may be missing."""

    id: str
    state: str
    at: int | None = None
    agent: str | None = None
    reason: str | None = None
    lies_in: int | None = None
    lies_at: int | None = None
    letter: str | None = None
    key: bytes | None = None
    value: bytes | None = None
    headers: str | None = None
    settled: str | None = None


def letter_row(lying: Lying) -> LetterRow:
    letter, origin = lying.letter, lying.letter.origin
    without_bytes = replace(origin, key=None, value=None, headers=())
    told = letter.model_copy(update={"origin": without_bytes})
    return LetterRow(
        id=letter.id,
        state=LetterState.WAITING.value,
        at=milliseconds(letter.at),
        agent=letter.agent,
        reason=letter.reason.value,
        lies_in=lying.partition,
        lies_at=lying.offset,
        letter=told.model_dump_json(),
        key=origin.key,
        value=origin.value,
        headers=json.dumps(
            [(name, base64.b64encode(value).decode()) for name, value in origin.headers]
        ),
    )


def settled_row(settlement: Settlement) -> LetterRow:
    return LetterRow(
        id=settlement.letter_id,
        state=settlement.STATE.value,
        settled=settlement.model_dump_json(),
    )


def known_letter(state: str, letter: str, settled: str | None) -> KnownLetter:
    """A letter without the bytes of its message, as lists show it."""
    kind = _SETTLEMENTS.get(LetterState(state))
    done = kind.model_validate_json(settled) if kind and settled else None
    return KnownLetter(DeadLetter.model_validate_json(letter), done)


def with_bytes(
    known: KnownLetter, key: bytes | None, value: bytes | None, headers: str
) -> KnownLetter:
    """The same letter, whole."""
    read = tuple((name, base64.b64decode(text)) for name, text in json.loads(headers))
    origin = replace(known.letter.origin, key=key, value=value, headers=read)
    return KnownLetter(known.letter.model_copy(update={"origin": origin}), known.settled)
