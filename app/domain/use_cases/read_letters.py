"""Answer questions about dead letters, and show at once what was done about one here."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from app.domain.model.errors import Conflict, UnknownDeadLetter
from app.domain.model.ids import LetterId
from app.domain.model.letters import KnownLetter, LetterRedriven, Settlement
from app.domain.model.messages import rfc3339
from app.domain.use_cases.views_lag import ViewsBehind, ViewsLag
from app.ports.letter_store import LetterFilter, LetterPage, LetterStore
from app.ports.status_store import StatusStore

PATIENCE = 2.0
"""Seconds for which an answer waits for the views."""
LOOK_AGAIN = 0.02
_KEPT = 10_000


class RecentSettlements:
    """What this process did about letters: the views may not have heard of it yet."""

    def __init__(self) -> None:
        self._done: OrderedDict[LetterId, Settlement] = OrderedDict()
        self._busy: WeakValueDictionary[LetterId, asyncio.Lock] = WeakValueDictionary()
        """For as long as somebody settles a letter, or waits to."""

    def add(self, settlement: Settlement) -> None:
        self._done[settlement.letter_id] = settlement
        if len(self._done) > _KEPT:
            self._done.popitem(last=False)

    def on(self, known: KnownLetter) -> KnownLetter:
        """The letter as it stands after what was done here, unless the views know more."""
        done = self._done.get(known.id)
        return KnownLetter(known.letter, done) if done and known.settled is None else known

    @asynccontextmanager
    async def alone(self, letter_id: LetterId) -> AsyncIterator[None]:
        """Keep others of this process from settling the same letter meanwhile."""
        lock = self._busy.setdefault(letter_id, asyncio.Lock())
        async with lock:
            yield


class LetterSettled(Conflict):
    """It was sent again, or discarded, before."""

    code = "dead-letter-settled"


@dataclass(frozen=True, slots=True)
class ReadLetters:
    store: LetterStore
    status: StatusStore
    recent: RecentSettlements = field(default_factory=RecentSettlements)
    lag: ViewsLag | None = None
    """How far the views are behind; without it what they lack is unknown."""

    async def find(self, letter_id: LetterId) -> KnownLetter:
        """The letter with its bytes; raise `UnknownDeadLetter`, or `ViewsBehind` while they are."""
        known = await self.store.find(letter_id)
        if known is None and self.lag:
            if not await self.lag.has_caught_up(PATIENCE):
                raise ViewsBehind(
                    "the views have not read all of the log yet, so nobody can tell here whether "
                    f"there is a dead letter {letter_id}; ask again"
                )
            known = await self.store.find(letter_id)  # it may have come meanwhile
        if known is None:
            raise UnknownDeadLetter(f"no dead letter {letter_id} is known")
        return self.recent.on(known)

    async def waiting(self, letter_id: LetterId) -> KnownLetter:
        """A letter that nothing was done about yet, else `LetterSettled`."""
        known = await self.find(letter_id)
        if done := known.settled:
            raise LetterSettled(f"it was {known.state} at {rfc3339(done.at)} by {done.by}")
        return known

    async def list(
        self, wanted: LetterFilter, limit: int, cursor: str | None, *, oldest_first: bool = False
    ) -> LetterPage:
        """A page of letters; one that was settled just now is left out where others are wanted."""
        page = await self.store.list(wanted, limit, cursor, oldest_first=oldest_first)
        items = [self.recent.on(known) for known in page.items]
        items = [known for known in items if wanted.state in (None, known.state)]
        return LetterPage(items, page.next_cursor)

    async def seen(self, known: KnownLetter) -> None:
        """Return once the views know what was done about a letter, and its task shows it too.

        Not later than after a moment: it is done, whether they know or not.
        """
        give_up = asyncio.get_running_loop().time() + PATIENCE
        while not await self._seen(known):
            if asyncio.get_running_loop().time() >= give_up:
                return
            await asyncio.sleep(LOOK_AGAIN)

    async def _seen(self, known: KnownLetter) -> bool:
        stored = await self.store.find(known.id)
        if stored is None or stored.settled is None:
            return False
        task_id = known.letter.task_id
        if not isinstance(stored.settled, LetterRedriven) or task_id is None:
            return True
        task = await self.status.find(task_id)
        return task is None or not task.state.terminal or task.attempt > known.letter.attempts
