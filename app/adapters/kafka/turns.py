"""Reads from many partitions in turn, a share each.

aiokafka hands out what it has fetched partition after partition, each to its end, and fetches a
partition that was emptied anew before the next is: one long backlog would keep all others waiting.
"""

from abc import abstractmethod
from collections.abc import Collection
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.claims import Record, Records

_NO_PARTITION = TopicPartition("none", 0)


class Room(Protocol):
    """How many records of each topic may be read."""

    @abstractmethod
    def of(self, topic: str) -> int:
        """How many more of this topic."""

    @abstractmethod
    def took(self, topic: str, count: int) -> None:
        """So many of this topic were read."""


class AtMost(Room):
    """The same number for all topics together."""

    def __init__(self, records: int) -> None:
        self._left = records

    def of(self, topic: str) -> int:  # noqa: ARG002
        return self._left

    def took(self, topic: str, count: int) -> None:  # noqa: ARG002
        self._left -= count


class Turns:
    """Remembers which partitions had their turn; each has one before any has another."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._had: set[TopicPartition] = set()
        self._busy = 1
        """How many partitions had records in the last round."""
        self._error: KafkaError | IllegalStateError | None = None

    async def take(
        self, wanted: Collection[TopicPartition], room: Room, seconds: float = 0.0
    ) -> Records:
        """What has been fetched of these partitions, as far as there is room for it.

        Where that is nothing, wait for so many seconds. Raises aiokafka's errors.
        """
        if error := self._error:
            self._error = None
            raise error
        read: dict[TopicPartition, list[Record]] = {}
        while self._had and (asked := [name for name in wanted if room.of(name.topic) > 0]):
            due = [name for name in asked if name not in self._had]
            if not due or not await self._ask(due, room, read, 0.0):
                self._busy = len(self._had)
                self._had.clear()
                if not await self._ask(asked, room, read, 0.0):
                    break
            if self._error:
                break
        if read:
            return read
        if asked := [name for name in wanted if room.of(name.topic) > 0]:
            await self._ask(asked, room, read, seconds)
        else:  # a poll that returns nothing tells the group that we are alive
            await self._consumer.getmany(_NO_PARTITION, timeout_ms=int(seconds * 1000))
        return read

    async def _ask(
        self,
        names: Collection[TopicPartition],
        room: Room,
        read: dict[TopicPartition, list[Record]],
        seconds: float,
    ) -> bool:
        """Read a share of whichever of these has something; whether any had."""
        most = min(room.of(topic) for topic in {name.topic for name in names})
        try:
            got: Records = await self._consumer.getmany(
                *names, timeout_ms=int(seconds * 1000), max_records=-(-most // self._busy)
            )
        except (KafkaError, IllegalStateError) as error:
            if not read:
                raise
            self._error = error  # what was read before it is ours already
            return False
        for name, batch in got.items():
            read.setdefault(name, []).extend(batch)
            room.took(name.topic, len(batch))
        self._had |= got.keys()
        return bool(got)
