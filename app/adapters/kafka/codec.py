"""Bytes to messages and back. Nothing that can stand in a topic makes it raise."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from pydantic import ValidationError

from app.adapters.kafka.bodies import moment, read_body
from app.adapters.kafka.cloudevents import (
    TYPE_PREFIX,
    Attributes,
    Body,
    Record,
    Unreadable,
    portable,
    read_event,
    read_headers,
    read_time,
    source_of_worker,
    write_headers,
)
from app.adapters.kafka.inflating import Oversized
from app.adapters.kafka.notices import read_control, read_heartbeat, read_settlement
from app.adapters.kafka.topics import CommandTopic, Topics
from app.domain.model.commands import NOTHING_EARLIER, CancelTask, SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.events import Event
from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.ids import TaskId, as_task_id, unnamed_task_id
from app.domain.model.letters import Settlement
from app.domain.model.messages import Message, rfc3339
from app.domain.model.priorities import Priority
from app.domain.model.vocabulary import MESSAGES
from app.ports.task_queue import Undecodable

COMMAND_READERS: Mapping[str, Callable[[Body], SubmitTask]] = {
    TYPE_PREFIX + name: message.model_validate
    for name, message in MESSAGES.items()
    if issubclass(message, SubmitTask)
}
_EVENTS: Mapping[str, type[Event]] = {
    TYPE_PREFIX + name: message for name, message in MESSAGES.items() if issubclass(message, Event)
}
EVENT_READERS: Mapping[str, Callable[[Body], Event]] = {
    name: message.model_validate for name, message in _EVENTS.items()
}
"""What makes a message of a body, by `ce_type`. When a type gets a new version, the reader of
the old one stays here, and makes the new message of the old body."""

_SUBMIT = TYPE_PREFIX + SubmitTask.TYPE
_source_of_worker = lru_cache(maxsize=1_000)(source_of_worker)


class Encoded(NamedTuple):
    """What a message is in a Kafka record."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def encode(message: Message) -> Encoded:
    """A message as a CloudEvent in binary mode.

    Its `ce_id` is made of what it is, so the same message sent twice can be told to be one.
    """
    subject: str
    key: str
    earlier = NOTHING_EARLIER
    if isinstance(message, Event):
        subject, at = message.task_id, message.at
        event_id = f"{subject}/{message.attempt}.{message.sequence}"
        key, source = subject, _source_of_worker(message.worker_id)
    elif isinstance(message, SubmitTask):
        subject, event_id, at = message.id, str(message.id), message.submitted_at
        key, source = message.context_id or subject, "/crewline"
        earlier = message.earlier
    elif isinstance(message, CancelTask):
        subject, at = message.task_id, message.at
        event_id = f"{subject}/cancel/{rfc3339(at)}"
        key, source = subject, "/crewline"
    elif isinstance(message, WorkerHeartbeat):
        subject, at = message.worker_id, message.at
        event_id = f"{subject}/{message.instance}/{message.number}"
        key, source = subject, _source_of_worker(message.worker_id)
    elif isinstance(message, Settlement):
        subject, at = message.letter_id, message.at
        event_id = f"{subject}/{message.STATE}"
        key, source = subject, "/crewline"
    else:
        raise TypeError(f"{type(message).__name__} is no message of ours")
    attributes = Attributes(
        message.TYPE, subject, rfc3339(at), message.traceparent, earlier=earlier
    )
    headers = write_headers(attributes, event_id, source)
    return Encoded(key.encode(), message.model_dump_json(by_alias=True).encode(), headers)


class Codec:
    """Reads the records of one installation; the names of its topics fill in what is missing."""

    def __init__(self, topics: Topics) -> None:
        self._command_topic = lru_cache(maxsize=10_000)(topics.read_command_topic)
        self._control = topics.control
        self._workers = topics.workers
        self._dead_letters = topics.dead_letters

    def command(self, record: Record) -> SubmitTask | Undecodable | None:
        """The task a record asks for; None for a null value, which asks for nothing."""
        if record.value is None:
            return None
        topic = self._command_topic(record.topic)
        attributes, body = read_headers(record.headers), Body()
        try:
            attributes, body = read_event(record.value, attributes)
            body["traceparent"] = attributes.traceparent
            body["earlier"] = attributes.earlier
            return _submit_task(record, attributes, body, topic)
        except Unreadable as error:
            task_id = _told_task_id(record, attributes, body)
            agent = topic.agent if topic else None
            return Undecodable(str(error), task_id, agent, attributes.earlier)

    def event(self, record: Record) -> Event | Undecodable | None:
        """The event in a record of results or traces; None for a null value."""
        if record.value is None:
            return None
        attributes = read_headers(record.headers)
        if event := _read_whole(record.value, attributes):
            return event
        try:
            attributes, body = read_event(record.value, attributes)
            body["traceparent"] = attributes.traceparent
            return read_body(EVENT_READERS, attributes.type, body)
        except Unreadable as error:
            return Undecodable(str(error), as_task_id(attributes.subject or ""))

    def any(self, record: Record) -> Message | Undecodable | None:
        """The command or the event in a record, whichever its topic is for."""
        if self._command_topic(record.topic) is not None:
            return self.command(record)
        if record.topic == self._control:
            return read_control(record)
        if record.topic == self._workers:
            return read_heartbeat(record)
        if record.topic == self._dead_letters:
            return read_settlement(record)
        return self.event(record)


def origin_of(record: Record) -> Origin:
    """Where a record stands, and exactly what it is."""
    return Origin(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=moment(record.timestamp),
        key=record.key,
        value=None if isinstance(record.value, Oversized) else record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )


def id_of_unnamed(record: Record) -> TaskId:
    """The id of the task in a record that names none."""
    value = record.value or b""
    return unnamed_task_id(record.topic, record.partition, record.offset, record.timestamp, value)


def _submit_task(
    record: Record, attributes: Attributes, body: Body, topic: CommandTopic | None
) -> SubmitTask:
    if topic is not None:
        if body.setdefault("agent", topic.agent) is None:
            body["agent"] = topic.agent
        if topic.runtime and body.setdefault("runtime", topic.runtime) is None:
            body["runtime"] = topic.runtime
        if topic.urgent:
            body.setdefault("priority", Priority.HIGH)
        if body["agent"] != topic.agent:
            raise Unreadable(f"agent: the body names another than the topic of {topic.agent}")
        if topic.runtime and body["runtime"] != topic.runtime:
            raise Unreadable(f"runtime: the body names another than the topic of {topic.runtime}")
    if body.get("id") is None:
        body["id"] = _told_task_id(record, attributes, body)
    if body.get("submitted_at") is None:
        body["submitted_at"] = read_time(attributes.time) or moment(record.timestamp)
    return read_body(COMMAND_READERS, attributes.type or _SUBMIT, body)


def _read_whole(value: bytes, attributes: Attributes) -> Event | None:
    """An event of ours, read in one go; None where something about it wants a closer look."""
    kind = _EVENTS.get(attributes.type or "")
    if kind is None or attributes.structured:
        return None
    try:
        event = kind.model_validate_json(value)
    except (ValidationError, OverflowError):
        return None
    if not portable((event,)):
        return None
    event.__dict__["traceparent"] = attributes.traceparent  # frozen for all but its maker
    return event


def _told_task_id(record: Record, attributes: Attributes, body: Body) -> TaskId:
    """The id in the body, the subject or the key, else one that no other message has.

    A key that is the conversation's id is no task's: its tasks would all be one.
    """
    body_id = body.get("id")
    key = (record.key or b"").decode("utf-8", "replace")
    return (
        (as_task_id(body_id) if isinstance(body_id, str) else None)
        or as_task_id(attributes.subject or "")
        or (as_task_id(key) if key != body.get("context_id") else None)
        or id_of_unnamed(record)
    )
