"""Redrive the dead letters that fit a filter, no faster than asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from app.domain.model.errors import PlatformError, Unavailable
from app.domain.model.ids import LetterId
from app.domain.model.letters import KnownLetter, LetterState
from app.domain.model.paging import Place, cursor_at, milliseconds
from app.domain.use_cases.redrive_dead_letter import RedriveDeadLetter
from app.ports.letter_store import LetterFilter

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Refused:
    """A letter that could not be redriven, and why."""

    letter_id: LetterId
    error: PlatformError


@dataclass(slots=True)
class Batch:
    """What became of the letters so far."""

    wanted: LetterFilter
    """The filter as it was applied: with an end, for what comes back meanwhile is left alone."""
    redriven: int = 0
    refused: list[Refused] = field(default_factory=list)
    cursor: str | None = None
    """Behind the last letter that was tried."""
    done: bool = False
    """Whether none is left."""
    last: KnownLetter | None = None
    """The letter that was redriven last."""


@dataclass(frozen=True, slots=True)
class RedriveMany:
    redrive: RedriveDeadLetter

    async def __call__(
        self,
        wanted: LetterFilter,
        by: str,
        *,
        rate: float,
        limit: int,
        cursor: str | None,
        stop: asyncio.Event,
    ) -> Batch:
        """Redrive letters that wait, the oldest first, up to `limit` and `rate` a second.

        It ends early when `stop` is set, or with the first letter that what we depend on is away
        for; that raises only where it was the first of all. The rest goes on waiting.
        """
        now = self.redrive.clock.now()
        until = min(wanted.until or now, now)
        batch = Batch(replace(wanted, state=LetterState.WAITING, until=until), cursor=cursor)
        clock = asyncio.get_running_loop().time
        turn = clock()
        async for known in self._waiting(batch):
            if await _stopped(stop, turn - clock()) or limit <= 0:
                return batch
            limit, turn = limit - 1, max(turn, clock() - 1) + 1 / rate
            try:
                batch.last = await self.redrive(known.id, by)
                batch.redriven += 1
            except Unavailable:
                if not batch.redriven and not batch.refused:
                    raise
                return batch
            except PlatformError as error:
                batch.refused.append(Refused(known.id, error))
            batch.cursor = cursor_at(Place(milliseconds(known.letter.at), known.id))
        batch.done = True
        return batch

    async def _waiting(self, batch: Batch) -> AsyncIterator[KnownLetter]:
        cursor = batch.cursor
        while True:
            page = await self.redrive.letters.list(batch.wanted, _PAGE, cursor, oldest_first=True)
            for known in page.items:
                yield known
            cursor = page.next_cursor
            if cursor is None:
                return


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    """Whether it was set before the time was over."""
    if seconds > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
    return stop.is_set()
