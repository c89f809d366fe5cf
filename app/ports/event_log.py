"""How facts travel: what a log promises, not how it keeps the promise."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from app.domain.model.dead_letters import DeadLetter
from app.domain.model.errors import Unavailable
from app.domain.model.events import ResultEvent
from app.domain.model.ids import TaskId
from app.domain.model.messages import Message


class LogUnavailable(Unavailable):
    """The message may not have been recorded; publishing it again is safe."""

    code = "log-unavailable"


class Shard(NamedTuple):
    """An ordered part of the log: a topic's partition."""

    topic: str
    partition: int


Offsets = Mapping[Shard, int]
"""For each shard, the offset of the next message to read."""


class EventLog(Protocol):
    """Where commands and events are written; each task's messages of one topic keep their order."""

    @abstractmethod
    async def append(self, message: Message) -> Awaitable[None]:
        """Take a message, in order, and return its acknowledgement.

        Awaiting that returns once the message is durable, else raises `LogUnavailable`.
        Raises `PayloadTooLarge` at once for a message the log would refuse.
        """

    @property
    def largest_message(self) -> int | None:
        """How many bytes a message may have; None where that is not known before it is refused."""
        return None

    async def publish(self, message: Message) -> None:
        """Return once the message is durable, else raise as `append` and its acknowledgement do."""
        await (await self.append(message))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message, or a dead letter, and where it stands."""

    message: Message | DeadLetter
    shard: Shard
    offset: int
    written_at: int = 0
    """When, in milliseconds, by the clock of whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages to fold, and how far each shard is read once they are."""

    records: Sequence[Recorded]
    before: Offsets
    after: Offsets


class EventFeed(Protocol):
    """Reads all that the views are made from, shared out over the members of one group.

    The reader keeps the offsets, beside what it makes of the messages; the feed asks for them
    whenever it is given a shard. What cannot be decoded is passed over: its reader is the worker.
    """

    passed_over: int = 0
    """How many messages could not be read so far."""

    @abstractmethod
    def batches(self, stored: "StoredOffsets") -> AsyncIterator[Batch]:
        """Yield what has been appended, in order within a shard, as it comes."""

    @abstractmethod
    async def rewind(self) -> None:
        """Ask for the stored offsets again and go on from there: another reader has moved them."""

    @abstractmethod
    async def ends(self) -> Offsets:
        """Where each shard of the whole log ends now."""

    @abstractmethod
    async def starts(self) -> Offsets:
        """The oldest offset each shard of the whole log still keeps; what was before is deleted."""


class StoredOffsets(Protocol):
    @abstractmethod
    async def offsets(self) -> Offsets:
        """How far each shard has been read; one that is missing is read from its start."""


class LogEnds(Protocol):
    """Tells how much there is to know of tasks."""

    @abstractmethod
    async def ends(self) -> Offsets:
        """Where each shard ends now in which tasks are asked for, told of or set aside.

        Raises `LogUnavailable`.
        """


class Ended(NamedTuple):
    """Tasks that have ended, as a part of the log tells."""

    attempts: Mapping[TaskId, int]
    """The last attempt that ended each of them."""
    read: Offsets
    """How far the results have been read."""


class Endings(Protocol):
    """Tells which tasks have ended, whether or not the views know of it."""

    @abstractmethod
    async def behind(self, read: Offsets) -> Ended:
        """The tasks whose end was appended behind these offsets, up to the moment of asking.

        Where very much stands there, only the latest is looked at. Raises `LogUnavailable`.
        """


class ResultTail(Protocol):
    """Hears every result event appended from now on, on every process that listens."""

    @abstractmethod
    def results(self, wanted: Callable[[TaskId], bool]) -> AsyncIterator[ResultEvent]:
        """Yield the result events of wanted tasks as they come.

        None of those appended before the first `anext`. `wanted` is asked for each of them.
        """
