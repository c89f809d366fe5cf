"""Reads what there is room for; always polls, so that long work never looks like a dead worker."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from app.adapters.kafka.assignment import Assignment
from app.adapters.kafka.claims import Records
from app.adapters.kafka.commits import Commits, Partition
from app.adapters.kafka.positions import position_of
from app.adapters.kafka.turns import Room, Turns

_POLL_SECONDS = 0.2
_LOOK_FOR_OTHERS = 0.05
_AFTER_A_POLL_ERROR = 0.5
_PASS_OVER_EVERY = 0.5
_OFFSETS_OF_A_RECORD = 50
"""A commit tells of each offset whether it is done, of those without a record too."""
_log = logging.getLogger(__name__)


class Reader:
    """Polls a started consumer for the partitions that may be read on, and pauses the others."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partitions: Mapping[TopicPartition, Partition],
        assignment: Assignment,
        commits: Commits,
        window: int,
    ) -> None:
        self._consumer = consumer
        self._turns = Turns(consumer)
        self._partitions = partitions
        self._assignment = assignment
        self._commits = commits
        self._window = window
        self._polled_at = self._passed_over_at = -math.inf

    async def poll(
        self,
        room: Room,
        there_is_room: asyncio.Event,
        take: Callable[[Records], Awaitable[None]],
    ) -> None:
        """Read what there is room for and hand it to `take`; with no room, wait for some a while.

        What was read belongs to us as long as `take` runs.
        """
        readable = self._readable()
        wanted = [name for name in readable if room.of(name.topic) > 0]
        ours = {name: self._partitions[name] for name in wanted}
        try:
            self._pause_all_but(wanted)
            if wanted and len(wanted) == len(readable):
                records = await self._turns.take(wanted, room, _POLL_SECONDS)
            else:
                records = await self._look(wanted, room, there_is_room)
        except (KafkaError, IllegalStateError) as error:
            _log.warning("polling failed, trying again: %r", error)
            await asyncio.sleep(_AFTER_A_POLL_ERROR)
            await self._assignment.seek_back()
            return
        self._polled_at = asyncio.get_running_loop().time()
        if records:
            async with self._assignment.unchanged:
                mine = {
                    name: batch
                    for name, batch in records.items()
                    if self._partitions.get(name) is ours[name]
                }
                # what was begun anew meanwhile is read again: the consumer is past it already
                await self._assignment.seek_behind_taken(records.keys() - mine.keys())
                await take(mine)
        if self._polled_at - self._passed_over_at > _PASS_OVER_EVERY:
            self._passed_over_at = self._polled_at
            async with self._assignment.unchanged:
                await self._pass_over()

    async def _pass_over(self) -> None:
        """Go past offsets that hold no record for us, where none came behind them either."""
        for name in self._consumer.assignment() & self._partitions.keys():
            partition = self._partitions[name]
            position = await position_of(self._consumer, name)
            if position is not None and partition.offsets.pass_over(position):
                self._commits.note(partition)

    def polled_within(self, seconds: float) -> bool:
        """Whether the last poll is no older than that."""
        return asyncio.get_running_loop().time() - self._polled_at < seconds

    def _readable(self) -> list[TopicPartition]:
        """What is ours and not too far ahead of its lowest unfinished record."""
        assigned = self._consumer.assignment()
        return [
            name
            for name, partition in self._partitions.items()
            if name in assigned
            and not partition.offsets.blocked
            and partition.offsets.window < self._window
            and partition.offsets.span < self._window * _OFFSETS_OF_A_RECORD
        ]

    def _pause_all_but(self, wanted: Iterable[TopicPartition]) -> None:
        assigned, paused = self._consumer.assignment(), self._consumer.paused()
        if resume := paused & set(wanted):
            self._consumer.resume(*resume)
        if pause := assigned - set(wanted) - paused:
            self._consumer.pause(*pause)

    async def _look(
        self, wanted: list[TopicPartition], room: Room, there_is_room: asyncio.Event
    ) -> Records:
        """Where some have no room: wait for that, and meanwhile look often for what has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_FOR_OTHERS if wanted else _POLL_SECONDS):
                await there_is_room.wait()
        return await self._turns.take(wanted, room)
