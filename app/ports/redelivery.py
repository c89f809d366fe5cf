"""Sends the message of a dead letter to where it came from."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.ids import TaskId


@dataclass(frozen=True, slots=True)
class Resent:
    """What a message is sent again with."""

    task_id: TaskId | None
    """The task it is; whoever reads the message anew finds the same."""
    earlier: Earlier
    traceparent: str | None = None
    """The trace it goes on in, where the message names none itself."""
    edited: SubmitTask | None = None
    """What is sent instead of its value."""


class Redelivery(Protocol):
    @abstractmethod
    async def send(self, origin: Origin, resent: Resent) -> None:
        """Return once the message is durable in the topic it came from, under its key.

        One that was edited to name another runtime than that topic has goes to the topic of its
        own. Its value and headers are what they were to the byte, but for what `resent` says. Raise
        `LogUnavailable`, after which a repeat is harmless, or `PayloadTooLarge`.
        """
