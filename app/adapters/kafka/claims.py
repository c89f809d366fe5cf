"""What an engine's reader hands to its runner, and how much of it at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aiokafka import ConsumerRecord, TopicPartition

from app.adapters.kafka.commits import Partition
from app.adapters.kafka.offsets import UNTRIED, Tries

Record: TypeAlias = ConsumerRecord[bytes, bytes]
Records: TypeAlias = Mapping[TopicPartition, list[Record]]
"""What a consumer has read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once."""

    slots: int = 16
    """Records that run at the same time, over all partitions."""
    buffer: int = 64
    """Records held in memory, the running ones included."""
    urgent_slots: int = 0
    """How many of the slots are kept for urgent records."""
    urgent_buffer: int = 16
    """Records of urgent topics held in memory, beside all others."""
    buffer_bytes: int = 1_000_000_000
    """What the values of those records may take, beyond which no more are read."""
    window: int = 20_000
    """Records of one partition from the lowest unfinished one to the last that was read."""
    backoff: float = 0.5
    """Seconds before a record whose handler raised runs again; doubles up to `backoff_ceiling`."""
    backoff_ceiling: float = 30.0


@dataclass(frozen=True, slots=True)
class Precedence:
    """Which records go before others; by default none does."""

    ranks: int = 1
    """How many ranks there are; the best one is 0."""
    urgent_ranks: int = 0
    """How many of them, from the best on, are urgent."""
    rank: Callable[[Record], int] = lambda _: 0
    urgent: Callable[[str], bool] = lambda _: False
    """Whether a topic is read on, however much is held of others."""


FIRST_COME = Precedence()


@dataclass(eq=False, slots=True)
class Claim:
    """A record this worker is responsible for."""

    record: Record
    partition: Partition = field(repr=False)
    lane: Hashable
    rank: int = 0
    urgent: bool = False
    """Whether it came by an urgent topic."""
    tries: Tries = UNTRIED
    """With the run it is handed out for."""
    put_off: int = 0
    """How often its handler broke since it was read."""
    broke_by: str | None = None
    """What the last of those runs raised."""
    not_before: float = 0.0
    """When its wait for the next run ends that a former owner began, by the monotonic clock."""

    @property
    def redelivered(self) -> bool:
        """Whether a former owner of the partition may have run it."""
        return self.partition.offsets.may_have_run(self.record.offset)

    @property
    def predates_owner(self) -> bool:
        """Whether it stood there when the partition became ours."""
        offset: int = self.record.offset
        return offset < self.partition.stood_below

    @property
    def wait(self) -> float:
        """Seconds that are left of a wait which a former owner began."""
        return max(0.0, self.not_before - time.monotonic()) if self.not_before else 0.0

    @property
    def lost(self) -> asyncio.Event:
        """Set when the partition has gone to another worker."""
        return self.partition.lost


Handler = Callable[[Claim], Awaitable[None]]
Hold = Callable[[Claim, bool], float]
"""For how many seconds a claim shall not run yet, and whether its room is needed for others."""
