"""Send a task whose time has come to its workers; set aside what cannot be read any more."""

from dataclasses import dataclass

from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import PayloadTooLarge
from app.domain.model.ids import TaskId
from app.ports.clock import Clock
from app.ports.dead_letters import DeadLetters
from app.ports.delays import Due
from app.ports.event_log import EventLog
from app.ports.task_queue import Undecodable


@dataclass(frozen=True, slots=True)
class ReleaseDelayed:
    log: EventLog
    dead_letters: DeadLetters
    clock: Clock

    async def __call__(self, due: Due) -> None:
        """Return once it is durable, else raise `LogUnavailable`."""
        content = due.content
        if isinstance(content, Undecodable):
            reason = DeadLetterReason.UNDECODABLE
            await self._bury(due, reason, content.detail, content.task_id)
            return
        try:
            await self.log.publish(content)
        except PayloadTooLarge as error:
            detail = f"it cannot go back to its topic: {error.message}"
            await self._bury(due, DeadLetterReason.INVALID, detail, content.id)

    async def _bury(
        self, due: Due, reason: DeadLetterReason, detail: str, task_id: TaskId | None
    ) -> None:
        letter = DeadLetter(
            origin=due.origin, reason=reason, detail=detail, task_id=task_id, at=self.clock.now()
        )
        await self.dead_letters.put(letter)
