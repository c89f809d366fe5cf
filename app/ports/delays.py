"""Where tasks wait for their time, longer than a worker should hold them."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from app.domain.model.commands import SubmitTask

Release = Callable[[SubmitTask], Awaitable[None]]
"""Sends a command to its workers; returns once it is durable, else raises `LogUnavailable`."""


class Delays(Protocol):
    @abstractmethod
    async def put(self, command: SubmitTask, not_before: datetime) -> None:
        """Return once it is certain that the command will be released at that time or soon after.

        What happened to it earlier is kept with it. Raises `LogUnavailable`; a repeat may be
        released twice.
        """


class DelayQueue(Protocol):
    """Shared out over the workers; whoever dies leaves its part to the others."""

    @abstractmethod
    async def run(self, release: Release) -> None:
        """Release what is due, until `stop` is called. Nothing that waits holds up another."""

    @abstractmethod
    async def stop(self) -> None:
        """Release nothing more; what waits goes on waiting for somebody else."""
