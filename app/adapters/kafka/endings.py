"""What has ended behind given offsets, read from the results themselves."""

import asyncio
from contextlib import aclosing
from typing import get_args

from aiokafka import ConsumerRecord, TopicPartition

from app.adapters.kafka.cloudevents import TYPE_PREFIX
from app.adapters.kafka.codec import Codec
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.topics import Topics
from app.adapters.kafka.whole_topic import WholeTopic
from app.domain.model.events import ResultEvent, TerminalEvent
from app.domain.model.ids import TaskId
from app.ports.event_log import Ended, Endings, LogUnavailable, Offsets, Shard

_LATEST = 50_000
"""Some seconds' reading; what may run again has ended lately, or the views know of it."""
_PATIENCE = 60.0
_NO_ENDS = {
    (TYPE_PREFIX + event.TYPE).encode()
    for event in set(get_args(ResultEvent)) - set(get_args(TerminalEvent))
}


class KafkaEndings(Endings):
    def __init__(
        self, connection: KafkaConnection, topics: Topics, *, at_most: int = _LATEST
    ) -> None:
        """Of each partition only the latest `at_most` events are looked at."""
        self._connection = connection
        self._at_most = at_most
        self._topic = topics.results
        self._codec = Codec(topics)

    async def behind(self, read: Offsets) -> Ended:
        after = {TopicPartition(*shard): offset for shard, offset in read.items()}
        topic = WholeTopic(self._connection, self._topic, after, at_most=self._at_most)
        attempts: dict[TaskId, int] = {}
        try:
            async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(topic, attempts))
                await topic.caught_up()
                reading.cancel()
        except TimeoutError as error:
            raise LogUnavailable(f"{self._topic} cannot be read now") from error
        return Ended(attempts, {Shard(*name): end for name, end in topic.positions.items()})

    async def _read(self, topic: WholeTopic, attempts: dict[TaskId, int]) -> None:
        async with aclosing(topic.batches()) as batches:
            async for records in batches:
                await asyncio.sleep(0)  # there may be many, and others wait for this loop
                for record in records:
                    if _is_no_end(record):
                        continue
                    event = self._codec.event(record)
                    if isinstance(event, TerminalEvent):
                        attempts[event.task_id] = max(event.attempt, attempts.get(event.task_id, 0))


def _is_no_end(record: "ConsumerRecord[bytes, bytes]") -> bool:
    """Most are none: spare reading them."""
    return any(name == "ce_type" and value in _NO_ENDS for name, value in record.headers)
