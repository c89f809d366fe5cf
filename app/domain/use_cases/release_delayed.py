"""Send a task whose time has come to its workers; set aside what cannot be read any more."""

from dataclasses import dataclass

from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
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
        if isinstance(due.content, Undecodable):
            letter = DeadLetter(
                origin=due.origin,
                reason=DeadLetterReason.UNDECODABLE,
                detail=due.content.detail,
                task_id=due.content.task_id,
                at=self.clock.now(),
            )
            await self.dead_letters.put(letter)
        else:
            await self.log.publish(due.content)
