"""Reads what there is room for; always polls, so that long work never looks like a dead worker."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.assignment import Assignment
from app.adapters.kafka.claims import Records, Room
from app.adapters.kafka.commits import Partition

_POLL_SECONDS = 0.2
_LOOK_FOR_URGENT = 0.05
_AFTER_A_POLL_ERROR = 0.5
_NO_PARTITION = TopicPartition("none", 0)
_log = logging.getLogger(__name__)


class Reader:
    """Polls a started consumer for the partitions that may be read on, and pauses the others."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partitions: Mapping[TopicPartition, Partition],
        assignment: Assignment,
        window: int,
        urgent: Callable[[str], bool],
    ) -> None:
        """`urgent` tells of a topic whether it is read on where there is no room for others."""
        self._consumer = consumer
        self._partitions = partitions
        self._assignment = assignment
        self._window = window
        self._urgent = urgent
        self._polled_at = -math.inf

    async def poll(
        self, room: Room, there_is_room: asyncio.Event, take: Callable[[Records], Awaitable[None]]
    ) -> None:
        """Read what there is room for and hand it to `take`; with no room, wait for some a while.

        What was read belongs to us as long as `take` runs.
        """
        wanted = self._wanted(room)
        try:
            self._pause_all_but(wanted)
            records = await self._fetch(wanted, room, there_is_room)
        except (KafkaError, IllegalStateError) as error:
            _log.warning("polling failed, trying again: %r", error)
            await asyncio.sleep(_AFTER_A_POLL_ERROR)
            await self._assignment.seek_back()
            return
        self._polled_at = asyncio.get_running_loop().time()
        if records:
            async with self._assignment.unchanged:
                await take(records)

    def polled_within(self, seconds: float) -> bool:
        """Whether the last poll is no older than that."""
        return asyncio.get_running_loop().time() - self._polled_at < seconds

    def _wanted(self, room: Room) -> list[TopicPartition]:
        if max(room) <= 0:
            return []
        assigned = self._consumer.assignment()
        return [
            name
            for name, partition in self._partitions.items()
            if name in assigned
            and not partition.offsets.blocked
            and partition.offsets.window < self._window
            and (room.urgent if self._urgent(name.topic) else room.others) > 0
        ]

    def _pause_all_but(self, wanted: Iterable[TopicPartition]) -> None:
        assigned, paused = self._consumer.assignment(), self._consumer.paused()
        if resume := paused & set(wanted):
            self._consumer.resume(*resume)
        if pause := assigned - set(wanted) - paused:
            self._consumer.pause(*pause)

    async def _fetch(
        self, wanted: list[TopicPartition], room: Room, there_is_room: asyncio.Event
    ) -> Records:
        records: Records
        if wanted and room.others > 0:  # named, so that what was fetched of the paused ones is kept
            records = await self._consumer.getmany(
                *wanted, timeout_ms=int(_POLL_SECONDS * 1000), max_records=room.others
            )
            return records
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_FOR_URGENT if wanted else _POLL_SECONDS):
                await there_is_room.wait()
        # where nothing is wanted, a poll that returns nothing tells the group that we are alive
        records = await self._consumer.getmany(
            *(wanted or [_NO_PARTITION]), timeout_ms=0, max_records=max(room.urgent, 1)
        )
        return records
