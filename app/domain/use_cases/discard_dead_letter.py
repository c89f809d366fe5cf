"""Say of a dead letter that nothing is to come of it."""

from dataclasses import dataclass

from app.domain.model.ids import LetterId
from app.domain.model.letters import KnownLetter, LetterDiscarded
from app.domain.use_cases.read_letters import ReadLetters
from app.ports.clock import Clock
from app.ports.event_log import EventLog


@dataclass(frozen=True, slots=True)
class DiscardDeadLetter:
    letters: ReadLetters
    log: EventLog
    clock: Clock

    async def __call__(
        self, letter_id: LetterId, by: str, comment: str | None = None
    ) -> KnownLetter:
        """Return the letter once that is durable; raise `UnknownDeadLetter` or `LetterSettled`.

        The letter stays to be read. Its task has ended, and goes on standing as it ended.
        """
        async with self.letters.recent.alone(letter_id):
            known = await self.letters.waiting(letter_id)
            settled = LetterDiscarded(
                letter_id=known.id, at=self.clock.now(), by=by, comment=comment
            )
            await self.log.publish(settled)
            self.letters.recent.add(settled)
            return KnownLetter(known.letter, settled)
