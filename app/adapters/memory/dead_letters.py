"""Dead letters in a list."""

from app.domain.model.dead_letters import DeadLetter
from app.ports.dead_letters import DeadLetters


class MemoryDeadLetters(DeadLetters):
    """Keeps one letter for each place in the log: a repeat replaces the one before it."""

    def __init__(self) -> None:
        self._letters: dict[tuple[str, int, int], DeadLetter] = {}

    @property
    def letters(self) -> list[DeadLetter]:
        """All of them, in the order in which they first came."""
        return list(self._letters.values())

    async def put(self, letter: DeadLetter) -> None:
        origin = letter.origin
        self._letters[origin.topic, origin.partition, origin.offset] = letter
