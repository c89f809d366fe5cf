"""What may have been run of a task before a worker is handed a message of it.

Kafka's offsets say what is done as long as they last: a group under another name, offsets that
expired or were set back, and a second message of the same task know nothing of it. So whatever is
older than a worker's turn is looked up, and so is an id that carries no time. What is certainly
new, the id of which was made since then, costs nothing.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from app.domain.model.commands import SubmitTask
from app.domain.model.errors import Unavailable
from app.domain.model.ids import TaskId, minted_at
from app.domain.use_cases.known_tasks import KnownTasks
from app.domain.use_cases.unseen_endings import UnseenEndings
from app.ports.clock import Clock
from app.ports.status_store import Past, TaskFinder
from app.ports.task_queue import Delivery

_UNFAMILIAR = timedelta(minutes=10)
"""Time after a change of workers in which an id without a time is not run before it is known
whether it has ended."""
_CLOCKS = timedelta(minutes=5)
"""How far the clock of whoever made an id may be ahead; what is later than that is no time."""
_TO_ANSWER = 2.0
_AFTER_SILENCE = 5.0
"""Seconds without a question that nobody has to answer, after one that was not answered."""
_AT_ONCE = 16
"""Tasks one query asks for: what was told of each may be large."""
_log = logging.getLogger(__name__)


class Before(Enum):
    """What became of a task by earlier messages, so that there is nothing to run."""

    ENDED = auto()
    GOES_ON = auto()
    """Its next run was begun by another message, which is still there."""


@dataclass(slots=True)
class PastRuns:
    """Asks the log's end and the views; many that ask at once share one query."""

    views: TaskFinder
    unseen: UnseenEndings | None
    clock: Clock
    _asked: "dict[TaskId, asyncio.Future[Past | None]]" = field(default_factory=dict)
    _asking: "asyncio.Task[None] | None" = None
    _silent_until: float = 0.0

    async def settle(
        self, delivery: Delivery, command: SubmitTask, known: KnownTasks
    ) -> Before | None:
        """Why there is nothing to run; None where there is.

        One that was redriven is open again, but not for the messages that it died of. Raises
        `Unavailable` where it must be known and cannot be.
        """
        before = command.earlier.attempts if command.earlier.redrives else 0
        if self._must_know(delivery, command):
            # a former owner may have gone on with what is redelivered until this moment
            until = self.clock.now() if delivery.redelivered else delivery.taken_over_at
            if self.unseen and until and await self.unseen.attempt_of(command.id, until) > before:
                return Before.ENDED
            past = await self._look_up(command.id)
        elif self._better_know(delivery, command, known):
            past = await self._look_up_if_possible(command.id)
        else:
            return None
        if past is None:
            return None
        if past.ended > before:
            return Before.ENDED
        return Before.GOES_ON if _goes_on(delivery, command, past) else None

    def _must_know(self, delivery: Delivery, command: SubmitTask) -> bool:
        """Whether a former owner may have run it, by this message or another one of its task."""
        if delivery.redelivered or delivery.attempt > 1 or delivery.predates_owner:
            return True
        since = delivery.taken_over_at
        if since is None or delivery.unnamed:
            return False
        if command.submitted_at < since:
            return True  # it waited for its time
        made = self._made(command.id)
        return made < since if made else self.clock.now() - since < _UNFAMILIAR

    def _better_know(self, delivery: Delivery, command: SubmitTask, known: KnownTasks) -> bool:
        """Whether it may have ended by another message, here or before this worker took over."""
        if delivery.unnamed:
            return False
        new_here = delivery.taken_over_at is None or self._made(command.id) is not None
        return not new_here or known.perhaps_finished(command.id)

    def _made(self, task_id: TaskId) -> datetime | None:
        """When an id was made; None where it does not say, or cannot be believed."""
        made = minted_at(task_id)
        return made if made and made < self.clock.now() + _CLOCKS else None

    async def _look_up_if_possible(self, task_id: TaskId) -> Past | None:
        """None as well where the views do not answer: what is asked for again then runs again."""
        now = asyncio.get_running_loop().time()
        if now < self._silent_until:
            return None
        try:
            async with asyncio.timeout(_TO_ANSWER):
                return await self._look_up(task_id)
        except (Unavailable, TimeoutError) as error:
            if now >= self._silent_until:
                _log.warning("the views do not say whether tasks have run before: %r", error)
            self._silent_until = asyncio.get_running_loop().time() + _AFTER_SILENCE
            return None

    async def _look_up(self, task_id: TaskId) -> Past | None:
        answer = self._asked.get(task_id)
        if answer is None:
            answer = self._asked[task_id] = asyncio.get_running_loop().create_future()
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(answer)  # others may wait for the same

    async def _ask(self) -> None:
        """Ask for all that was asked for meanwhile, until nobody asks any more."""
        try:
            while self._asked:
                some = {each: self._asked.pop(each) for each in list(self._asked)[:_AT_ONCE]}
                if not await self._answer(some):
                    for task_id, answer in some.items():  # what breaks is one of them
                        await self._answer({task_id: answer})
        finally:
            self._asking = None

    async def _answer(self, asked: "Mapping[TaskId, asyncio.Future[Past | None]]") -> bool:
        """Answer whoever asked; False where the question broke, and may be asked one by one."""
        try:
            found = await self.views.past(asked)
        except Exception as error:  # noqa: BLE001  # it is for those who asked
            if len(asked) > 1 and not isinstance(error, Unavailable):
                return False
            for answer in asked.values():
                answer.set_exception(error)
                answer.exception()  # whoever asked may have gone
        else:
            for task_id, answer in asked.items():
                answer.set_result(found.get(task_id))
        return True


def _goes_on(delivery: Delivery, command: SubmitTask, past: Past) -> bool:
    """Whether the run it asks for was begun by another message of it, which is still there.

    What waits for another run may be released twice. What a former owner may have begun by this
    very message goes on by it.
    """
    earlier, mine = command.earlier.attempts, delivery.redelivered or delivery.predates_owner
    first = delivery.attempt == earlier + 1
    return bool(earlier) and first and not mine and past.attempt >= delivery.attempt
