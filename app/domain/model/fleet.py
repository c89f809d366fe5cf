"""What a worker says of itself, every few seconds and whenever what it runs has changed."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from app.domain.model.ids import AgentNameField, RuntimeNameField, TaskIdField, WorkerIdField
from app.domain.model.messages import Message, Timestamp, Value

LONGEST_LEASE = 3_600.0
"""Seconds. A heartbeat that claims more is believed for so long."""

Count = Annotated[int, Field(ge=0)]


class Place(Value):
    """Where a message stands in the log."""

    topic: str
    partition: Count
    offset: Count
    written_at: Timestamp | None = None
    """When it was written: a topic that was made anew counts its offsets from 0 again."""

    @property
    def possibly(self) -> tuple["Place", ...]:
        """All that whoever stood here may be told as: not everybody says when it was written."""
        return (self, self.model_copy(update={"written_at": None}))


class TaskInHand(Value):
    """A task that a worker runs."""

    task_id: TaskIdField
    agent: AgentNameField
    attempt: Annotated[int, Field(ge=1)]
    """Which run of the task it is."""
    started_at: Timestamp
    """When that began."""
    place: Place
    """Of the message that asks for it."""


class Share(Value):
    """What a worker owns of a topic, and how much of that waits."""

    topic: str
    partitions: tuple[Count, ...]
    """Those it owns."""
    lag: Count
    """Messages in them that have not been started."""
    oldest_waiting_at: Timestamp | None = None
    """When the oldest of them came, of those that have been fetched."""


class WorkerHeartbeat(Message):
    """A worker lives and has this in hand; the last one says `stopped`.

    For `lease_seconds` after it was heard, no other worker runs a task that it lists.
    """

    TYPE: ClassVar[str] = "worker.heartbeat.v1"

    worker_id: WorkerIdField
    instance: Annotated[str, Field(min_length=1, max_length=64)]
    """Another one for each start of a worker."""
    number: Annotated[int, Field(ge=1)]
    """Counts the heartbeats of this instance."""
    state: Literal["working", "draining", "stopped"] = "working"
    """One that drains takes nothing new."""
    version: str
    """Crewline's."""
    agents: tuple[AgentNameField, ...] = ()
    """Those it can run."""
    runtimes: tuple[RuntimeNameField, ...] = ()
    """The ways it can run them."""
    editions: dict[AgentNameField, str] = Field(default_factory=dict)
    """For each of its agents a mark, which is another where other tasks are accepted."""
    slots: Annotated[int, Field(ge=1)]
    """How many tasks it runs at once."""
    running: tuple[TaskInHand, ...] = ()
    """Those it runs now."""
    finished: tuple[Place, ...] = ()
    """Messages it dealt with lately after it had lost them to another worker."""
    topics: tuple[Share, ...] = ()
    """What it reads."""
    started_at: Timestamp
    """When this instance began."""
    at: Timestamp
    interval_seconds: Annotated[float, Field(gt=0)]
    """How long until its next heartbeat, if nothing changes before."""
    lease_seconds: Annotated[float, Field(gt=0)]
