"""What has ended behind given offsets, read from the results themselves."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing

from aiokafka import TopicPartition

from app.adapters.kafka.codec import Codec
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.topics import Topics
from app.adapters.kafka.whole_topic import WholeTopic
from app.domain.model.events import TerminalEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import Endings, Offsets

_LATEST = 50_000
"""Some seconds' reading; what may run again has ended lately, or the views know of it."""


class KafkaEndings(Endings):
    def __init__(
        self, connection: KafkaConnection, topics: Topics, *, at_most: int = _LATEST
    ) -> None:
        """Of each partition only the latest `at_most` events are looked at."""
        self._connection = connection
        self._at_most = at_most
        self._topic = topics.results
        self._codec = Codec(topics)

    async def behind(self, read: Offsets) -> Mapping[TaskId, int]:
        """Waits for brokers that are away."""
        after = {TopicPartition(*shard): offset for shard, offset in read.items()}
        topic = WholeTopic(self._connection, self._topic, after, at_most=self._at_most)
        ended: dict[TaskId, int] = {}
        reading = asyncio.create_task(self._read(topic, ended))
        caught_up = asyncio.create_task(topic.caught_up())
        try:
            await asyncio.wait({reading, caught_up}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            for each in (reading, caught_up):
                each.cancel()
            await asyncio.gather(reading, caught_up, return_exceptions=True)
        return ended

    async def _read(self, topic: WholeTopic, ended: dict[TaskId, int]) -> None:
        batches = topic.batches()
        async with aclosing(batches):  # type: ignore[type-var]  # so that its consumer ends too
            async for records in batches:
                await asyncio.sleep(0)  # there may be many, and others wait for this loop
                for record in records:
                    event = self._codec.event(record)
                    if isinstance(event, TerminalEvent):
                        ended[event.task_id] = max(event.attempt, ended.get(event.task_id, 0))
