"""Delayed commands on Kafka: one topic of commands, each with the time it waits for."""

from datetime import datetime

from app.adapters.kafka.cloudevents import Record, read_time
from app.adapters.kafka.codec import encode
from app.adapters.kafka.producer import Producer
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.messages import rfc3339
from app.ports.delays import Delays

_NOT_BEFORE = "crewline-not-before"
_KEY = "crewline-key"
"""What the command's record had for a key; here it is the task's id."""


class KafkaDelays(Delays):
    def __init__(self, producer: Producer, topics: Topics) -> None:
        self._producer = producer
        self._topic = topics.retries

    async def put(self, command: SubmitTask, not_before: datetime) -> None:
        _, value, headers = encode(command)
        headers = [*headers, (_NOT_BEFORE, rfc3339(not_before).encode())]
        if command.earlier.key is not None:
            headers.append((_KEY, command.earlier.key))
        key = command.id.encode()
        await (await self._producer.send(self._topic, key=key, value=value, headers=headers))


def key_of(record: Record) -> bytes | None:
    """The key a record of a command had before it waited."""
    return dict(record.headers).get(_KEY)


def not_before_of(record: Record) -> datetime | None:
    """The time a record waits for; None where it does not say."""
    for name, value in record.headers:
        if name == _NOT_BEFORE:
            return read_time((value or b"").decode("utf-8", "replace"))
    return None
