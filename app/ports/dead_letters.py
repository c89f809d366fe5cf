"""Where undeliverable messages wait, with reasons."""

from abc import abstractmethod
from typing import Protocol

from app.domain.model.dead_letters import DeadLetter


class DeadLetters(Protocol):
    @abstractmethod
    async def put(self, letter: DeadLetter) -> None:
        """Return once the letter is durable, else raise `LogUnavailable`. A repeat is harmless."""
