"""Dead letters in the log in memory."""

from app.adapters.memory.event_log import MemoryEventLog
from app.domain.model.dead_letters import DeadLetter
from app.domain.model.ids import LetterId
from app.ports.dead_letters import DeadLetters


class MemoryDeadLetters(DeadLetters):
    """Keeps one letter for each place in the log: a repeat replaces the one before it."""

    def __init__(self, log: MemoryEventLog | None = None) -> None:
        """`log` is where those who make the views read them too."""
        self._log = log or MemoryEventLog()
        self._letters: dict[LetterId, DeadLetter] = {}

    @property
    def letters(self) -> list[DeadLetter]:
        """All of them, in the order in which they first came."""
        return list(self._letters.values())

    async def put(self, letter: DeadLetter) -> None:
        self._letters[letter.id] = letter
        await self._log.put_letter(letter)
