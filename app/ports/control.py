"""What is asked of tasks that are already there, heard by every worker."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

from app.domain.model.commands import CancelTask


class Control(Protocol):
    """Kept from the first request on, so that it reaches a task that waits, or moves, or returns.

    What cannot be read is passed over, and the logs say so: nothing could be done about it by
    every worker at once.
    """

    @abstractmethod
    async def listen(self, hear: Callable[[CancelTask], None]) -> None:
        """Tell every request, from the first that is kept, until cancelled.

        Each is told at least once. It goes on by itself when the log was away.
        """

    @abstractmethod
    async def caught_up(self) -> None:
        """Return once `listen` has told all that stood there when it began."""
