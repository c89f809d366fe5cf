"""A dead letter's message sent again: the record as it was, and what it needs to go on."""

from dataclasses import dataclass

from app.adapters.kafka.cloudevents import EARLIER, Headers, read_headers, write_earlier
from app.adapters.kafka.codec import Codec, encode
from app.adapters.kafka.producer import Producer
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.errors import PayloadTooLarge
from app.ports.redelivery import Redelivery, Resent

_SUBJECT = "ce_subject"
_SAID_ANEW = frozenset(EARLIER)


class KafkaRedelivery(Redelivery):
    def __init__(self, producer: Producer, topics: Topics) -> None:
        self._producer = producer
        self._topics = topics
        self._codec = Codec(topics)

    async def send(self, origin: Origin, resent: Resent) -> None:
        value, headers = self._record(origin, resent)
        topic = self._topic(origin, resent.edited)
        await (await self._producer.send(topic, key=origin.key, value=value, headers=headers))

    def _topic(self, origin: Origin, edited: SubmitTask | None) -> str:
        """Where it came from, but for what that topic's one runtime shall not run."""
        if edited is not None and edited.runtime is not None:
            was = self._topics.read_command_topic(origin.topic)
            if was is not None and was.runtime not in (None, edited.runtime):
                return self._topics.of(edited)
        return origin.topic

    def _record(self, origin: Origin, resent: Resent) -> tuple[bytes, Headers]:
        if resent.edited is not None:
            return _rewritten(resent.edited, origin, resent)
        if origin.value is None:
            raise PayloadTooLarge("the message was too large to be kept")
        headers = _its_own(origin, but=_SAID_ANEW)
        if resent.task_id is not None:
            headers = [each for each in headers if each[0] != _SUBJECT]
            headers.append((_SUBJECT, resent.task_id.encode()))
        if resent.traceparent and read_headers(headers).traceparent is None:
            headers.append(("traceparent", resent.traceparent.encode()))
        headers += write_earlier(resent.earlier)
        command = self._codec.command(_Again(origin, headers))
        if isinstance(command, SubmitTask) and resent.task_id not in (None, command.id):
            # only its old place in the log said which task it is, and its value hides our header
            return _rewritten(command.model_copy(update={"id": resent.task_id}), origin, resent)
        return origin.value, headers


def _rewritten(command: SubmitTask, origin: Origin, resent: Resent) -> tuple[bytes, Headers]:
    traceparent = read_headers(origin.headers).traceparent or resent.traceparent
    update = {"earlier": resent.earlier, "traceparent": command.traceparent or traceparent}
    _, value, headers = encode(command.model_copy(update=update))
    own = _its_own(origin, but=_SAID_ANEW | {name for name, _ in headers} | {"traceparent"})
    return value, [*own, *headers]


def _its_own(origin: Origin, but: frozenset[str] | set[str]) -> list[tuple[str, bytes]]:
    """The headers it came with, those of an earlier stay among the dead letters left out."""
    return [
        (name, value)
        for name, value in origin.headers
        if name not in but and not name.startswith("dlq-")
    ]


@dataclass(frozen=True, slots=True)
class _Again:
    """The record that would be read; its new place does not matter."""

    origin: Origin
    headers: Headers
    partition: int = 0
    offset: int = 0

    @property
    def topic(self) -> str:
        return self.origin.topic

    @property
    def key(self) -> bytes | None:
        return self.origin.key

    @property
    def value(self) -> bytes | None:
        return self.origin.value

    @property
    def timestamp(self) -> int:
        return int(self.origin.timestamp.timestamp() * 1_000)
