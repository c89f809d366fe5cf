"""How a worker is given tasks: many at once, each acknowledged by itself."""

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from app.domain.model.commands import NOTHING_EARLIER, Earlier, SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.fleet import Share
from app.domain.model.ids import AgentName, TaskId


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A message that is no task, why, and the task id where one could still be told."""

    detail: str
    task_id: TaskId | None = None
    agent: str | None = None
    earlier: Earlier = NOTHING_EARLIER


def _never() -> bool:
    return False


@dataclass(slots=True, eq=False)
class Delivery:
    """One message for a worker; there is one of them for each run."""

    content: SubmitTask | Undecodable
    origin: Origin
    attempt: int
    """The number of this run of the task, from 1; others may have failed or been interrupted."""
    redelivered: bool
    """Whether an earlier owner of the queue may have run it already."""
    lost: asyncio.Event
    """Set when the message has been given to another worker: nothing acknowledges it here."""
    failures: int = 0
    """Earlier runs after which the handler asked for another one, by `Again`."""
    interrupted: int = 0
    """Earlier runs that ended with their worker, or of which its handler raised what is neither
    `Again` nor `Unavailable`."""
    broke_by: str | None = None
    """What was raised by the last of them, where that was here."""
    taken_over_at: datetime | None = None
    """When this worker took over from others, who may have run other messages of the same task."""
    predates_owner: bool = False
    """Whether it stood in the queue by then: a former owner whose notes are lost may have run it,
    or run it still."""
    unnamed: bool = False
    """Whether its task's id is made of the message itself, so that no other message has it."""
    wait: float = 0.0
    """Seconds that are left of an `Again` whose end its worker has not seen: not to run before."""
    blamed: bool = False
    """Whether this run, where it is cancelled, counts as one that ended its worker. Set by whoever
    watches over the run, where it may have kept its worker from working for too long."""
    over: Callable[[], bool] = _never
    """Asked right before others can see what a run does: whether somebody else may run it. Set by
    whoever watches over the run."""


class WorkerSlept(Exception):
    """What stands for the end of a run that is blamed, in logs and in dead letters."""

    def __init__(self) -> None:
        super().__init__("it was stopped, as its worker did nothing else for too long")


class Again(Exception):
    """Raised by a handler: hand the delivery out again after so many seconds.

    Its slot is free meanwhile; what waits behind it in its conversation goes on waiting.
    """

    def __init__(
        self, seconds: float, sooner: asyncio.Event | None = None, *, counted: bool = True
    ) -> None:
        """Where it is not `counted`, this was no run: neither an attempt nor a failure."""
        super().__init__(f"again in {seconds:g} s")
        self.counted = counted
        self.seconds = seconds
        self.sooner = sooner
        """Where it is set before that time, the delivery comes at once."""


Handle = Callable[[Delivery], Awaitable[None]]


class Ownership(Protocol):
    """Hears when tasks move from worker to worker, and decides about those that run."""

    @abstractmethod
    async def handing_over(self) -> None:
        """Called before anything of ours may be given to another worker; it waits for us."""

    @abstractmethod
    def taken_over(self) -> None:
        """It is settled what is ours; what is not, has been told so by its `lost`."""

    @property
    @abstractmethod
    def may_finish(self) -> bool:
        """Whether what runs here of what was lost goes on; else it is stopped."""


class Shares(Protocol):
    """Tells a worker what is its own of the tasks."""

    @abstractmethod
    async def shares(self) -> Sequence[Share]:
        """What is ours of each topic, and how much of it has not been started.

        Raises `LogUnavailable`.
        """

    @abstractmethod
    def leave_to_others(self, agent: AgentName) -> None:
        """Have an agent's tasks shared out anew, over the workers that know it better than we do.

        Where there are none, nothing changes.
        """


class Deleted(NamedTuple):
    """A part of the queue of which the oldest messages were deleted, read or not."""

    topic: str
    partition: int
    below: int
    """Where it begins now."""
    in_hand: frozenset[int]
    """The offsets of those that this worker has nevertheless."""
    since: datetime | None
    """When this worker took it over, where others may have had it before."""


class Retained(Protocol):
    """Tells a worker what is left of its part of the queue."""

    @abstractmethod
    async def deleted(self) -> Sequence[Deleted]:
        """What is ours and does not begin at its first message; raises `LogUnavailable`."""


class TaskQueue(Protocol):
    """Tasks wait here until a worker has finished them.

    A delivery is acknowledged when its handler returns. Where the handler raises, or its worker
    dies, the message is handed out again, with a count of such ends but for those by `Again` or
    `Unavailable`: what breaks must not be run without end. What was interrupted twice is run beside
    no other such message, so that one which kills its worker cannot be mistaken for those beside
    it. Tasks of one conversation are handed out one after another, in order.
    """

    @abstractmethod
    async def run(self, handle: Handle) -> None:
        """Hand out deliveries, up to the number of slots at once, until `stop` is called."""

    @abstractmethod
    async def stop(self, grace: float) -> None:
        """Hand out nothing new, let running handlers finish for `grace` seconds, cancel the rest.

        What was canceled stays in the queue.
        """

    @abstractmethod
    def healthy(self) -> bool:
        """Whether the queue is connected and being read."""
