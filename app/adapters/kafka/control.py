"""The control topic: every worker reads all of it."""

import logging
from collections.abc import Callable
from contextlib import aclosing

from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.notices import read_control
from app.adapters.kafka.topics import Topics
from app.adapters.kafka.whole_topic import WholeTopic
from app.domain.model.commands import CancelTask
from app.ports.control import Control
from app.ports.task_queue import Undecodable

_log = logging.getLogger(__name__)


class KafkaControl(Control):
    def __init__(self, connection: KafkaConnection, topics: Topics) -> None:
        self._topic = WholeTopic(connection, topics.control)

    async def listen(self, hear: Callable[[CancelTask], None]) -> None:
        async with aclosing(self._topic.batches()) as batches:
            async for records in batches:
                for record in records:
                    message = read_control(record)
                    if isinstance(message, Undecodable):
                        where = record.topic, record.offset
                        _log.warning("passed over %s@%d: %s", *where, message.detail)
                    elif message is not None:
                        hear(message)

    async def caught_up(self) -> None:
        await self._topic.caught_up()
