"""Where tasks wait for their time, longer than a worker should hold them."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.ids import TaskId
from app.ports.task_queue import Undecodable


@dataclass(frozen=True, slots=True)
class Due:
    """A command whose time has come, or what stood in its place and cannot be read."""

    content: SubmitTask | Undecodable
    origin: Origin


Release = Callable[[Due], Awaitable[None]]
"""Returns once what was due is durable elsewhere; where it raises, it is called again."""


Unwanted = Callable[[TaskId, Earlier], bool]
"""Whether somebody wants this task canceled, since it was redriven where it was.

It is then released without waiting for its time.
"""


def nothing(_: TaskId, __: Earlier) -> bool:
    """No task is unwanted."""
    return False


class Delays(Protocol):
    @abstractmethod
    async def put(self, command: SubmitTask, not_before: datetime) -> None:
        """Return once it is certain that the command will be released at that time or soon after.

        What happened to it earlier is kept with it. Raises `LogUnavailable`, or `PayloadTooLarge`
        where there is no room to note the time beside it; a repeat may be released twice.
        """


class DelayQueue(Protocol):
    """Shared out over the workers; whoever dies leaves its part to the others."""

    @abstractmethod
    async def run(self, release: Release) -> None:
        """Release what is due, until `stop` is called. Nothing that waits holds up another."""

    @abstractmethod
    def hurry(self, task_id: TaskId) -> None:
        """Look now whether this task is unwanted, if it waits here."""

    @abstractmethod
    async def stop(self) -> None:
        """Release nothing more; what waits goes on waiting for somebody else."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether the queue is connected and being read."""
