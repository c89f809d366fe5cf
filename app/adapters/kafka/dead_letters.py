"""Dead letters on Kafka: the message as it was, and beside it in headers why it lies here.

What is done about them stands in the same topic, as CloudEvents.
"""

from types import TracebackType
from typing import Self

from app.adapters.kafka.cloudevents import Record
from app.adapters.kafka.codec import origin_of
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.notices import read_settlement
from app.adapters.kafka.producer import Producer
from app.adapters.kafka.topics import Topics
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import PayloadTooLarge
from app.domain.model.ids import as_task_id
from app.domain.model.messages import Message, rfc3339
from app.ports.dead_letters import DeadLetters
from app.ports.task_queue import Undecodable

_FIRST = "dlq-reason"
_LONGEST_DETAIL = 2_000


class KafkaDeadLetters(DeadLetters):
    """Writes letters; enter it before use.

    Its topic takes more than any other, for a message as large as the broker allows has to fit
    here with its reason. One that still does not is kept without its value: a letter that cannot
    be posted would hold up its queue for ever.
    """

    def __init__(
        self, connection: KafkaConnection, topics: Topics, *, deadline: float = 10.0
    ) -> None:
        self._topic = topics.dead_letters
        self._producer = Producer(
            connection,
            deadline=deadline,
            max_message_bytes=connection.dead_letter_max_message_bytes,
        )

    async def __aenter__(self) -> Self:
        await self._producer.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._producer.__aexit__(kind, error, traceback)

    async def put(self, letter: DeadLetter) -> None:
        value = letter.origin.value or b""
        headers = [*letter.origin.headers, *_why(letter)]
        if letter.origin.value is None:  # it was too large to be read
            headers.append(("dlq-value-omitted", b"unread"))
        try:
            await self._send(letter.origin.key, value, headers)
        except PayloadTooLarge:
            omitted = [("dlq-value-omitted", str(len(value)).encode())]
            try:
                await self._send(letter.origin.key, b"", [*headers, *omitted])
            except PayloadTooLarge:  # it is the headers that are too large
                await self._send(letter.origin.key, b"", [*_why(letter), *omitted])

    async def _send(
        self, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
    ) -> None:
        await (await self._producer.send(self._topic, key=key, value=value, headers=headers))


def read_dead_letter(record: Record) -> DeadLetter | None:
    """The letter in a record of the dead letters' topic; None where it is none of ours.

    A message can have been here before and still carry the headers of that time: only the last
    reason and what follows it are about this letter.
    """
    lying = origin_of(record)
    names = [name for name, _ in lying.headers]
    if _FIRST not in names:
        return None
    first = len(names) - 1 - names[::-1].index(_FIRST)
    why = {name: value.decode("utf-8", "replace") for name, value in lying.headers[first:]}
    try:
        origin = {
            "topic": why["dlq-topic"],
            "partition": why["dlq-partition"],
            "offset": why["dlq-offset"],
            "timestamp": why["dlq-timestamp"],
            "key": lying.key,
            "value": None if "dlq-value-omitted" in why else lying.value,
            "headers": lying.headers[:first],
        }
        return DeadLetter.model_validate(
            {
                "origin": origin,
                "reason": DeadLetterReason(why[_FIRST]),
                "detail": why["dlq-detail"],
                "task_id": as_task_id(why["dlq-task-id"]) if "dlq-task-id" in why else None,
                "at": why["dlq-at"],
                "agent": why.get("dlq-agent"),
                "attempts": why.get("dlq-attempts", 0),
                "redrives": why.get("dlq-redrives", 0),
            }
        )
    except (KeyError, ValueError):
        return None


def read_lying(record: Record) -> DeadLetter | Message | Undecodable | None:
    """What a record of the dead letters' topic is: a letter, or what was done about one."""
    if any(name == _FIRST for name, _ in record.headers):
        return read_dead_letter(record) or Undecodable("its reason cannot be read")
    return read_settlement(record)


def _why(letter: DeadLetter) -> list[tuple[str, bytes]]:
    origin = letter.origin
    said = {
        _FIRST: letter.reason,
        "dlq-detail": letter.detail[:_LONGEST_DETAIL],
        "dlq-topic": origin.topic,
        "dlq-partition": str(origin.partition),
        "dlq-offset": str(origin.offset),
        "dlq-timestamp": rfc3339(origin.timestamp),
        "dlq-at": rfc3339(letter.at),
        "dlq-attempts": str(letter.attempts),
        "dlq-redrives": str(letter.redrives),
    }
    if letter.agent is not None:
        said["dlq-agent"] = letter.agent
    if letter.task_id is not None:
        said["dlq-task-id"] = letter.task_id
    return [(name, text.encode()) for name, text in said.items()]
