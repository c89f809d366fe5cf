"""Dead letters as readers ask for them: one query for each answer."""

from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, bindparam, func, select, tuple_

from app.adapters.sql.database import Database
from app.adapters.sql.letter_rows import known_letter, with_bytes
from app.adapters.sql.schema import dead_letters
from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.ids import LetterId
from app.domain.model.letters import KnownLetter, LetterState
from app.domain.model.paging import Place, cursor_at, milliseconds, read_cursor
from app.ports.letter_store import LetterFilter, LetterPage, LetterStore

_TABLE = dead_letters.c
_TOLD = (_TABLE.state, _TABLE.letter, _TABLE.settled)
_BYTES = (_TABLE.key, _TABLE.value, _TABLE.headers)
_THERE = _TABLE.at.is_not(None)
_FIND = select(*_TOLD, *_BYTES).where(_TABLE.id == bindparam("letter_id"), _THERE)


class SqlLetterStore(LetterStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, letter_id: LetterId) -> KnownLetter | None:
        row = await self._database.read(
            lambda views: views.execute(_FIND, {"letter_id": letter_id}).one_or_none()
        )
        return with_bytes(known_letter(*row[:3]), *row[3:]) if row else None

    async def list(
        self, wanted: LetterFilter, limit: int, cursor: str | None, *, oldest_first: bool = False
    ) -> LetterPage:
        place = (_TABLE.at, _TABLE.id)
        query = select(*_TOLD).where(_THERE, *_conditions(wanted))
        if cursor is not None:
            behind = tuple_(*read_cursor(cursor))
            query = query.where(
                tuple_(*place) > behind if oldest_first else tuple_(*place) < behind
            )
        order = (column.asc() if oldest_first else column.desc() for column in place)
        query = query.order_by(*order).limit(limit + 1)
        rows = await self._database.read(lambda views: views.execute(query).all())
        items = [known_letter(*row) for row in rows[:limit]]
        return LetterPage(items, _cursor(items[-1]) if len(rows) > limit else None)

    async def waiting(self) -> Mapping[DeadLetterReason, int]:
        query = (
            select(_TABLE.reason, func.count())
            .where(_TABLE.state == LetterState.WAITING.value, _THERE)
            .group_by(_TABLE.reason)
        )
        rows = await self._database.read(lambda views: views.execute(query).all())
        return {DeadLetterReason(reason): number for reason, number in rows}


def _conditions(wanted: LetterFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.state is not None:
        yield _TABLE.state == wanted.state.value
    if wanted.agent is not None:
        yield _TABLE.agent == wanted.agent
    if wanted.reason is not None:
        yield _TABLE.reason == wanted.reason.value
    if wanted.since is not None:
        yield _TABLE.at >= milliseconds(wanted.since)
    if wanted.until is not None:
        yield _TABLE.at < milliseconds(wanted.until)


def _cursor(known: KnownLetter) -> str:
    return cursor_at(Place(milliseconds(known.letter.at), known.id))
