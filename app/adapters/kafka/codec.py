"""Bytes to messages and back. Nothing that can stand in a topic makes it raise."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from app.adapters.kafka.cloudevents import (
    TYPE_PREFIX,
    Attributes,
    Body,
    Record,
    Unreadable,
    portable,
    read_event,
    read_headers,
    source_of_worker,
    write_headers,
)
from app.adapters.kafka.topics import CommandTopic, Topics
from app.domain.model.commands import CancelTask, Earlier, SubmitTask
from app.domain.model.dead_letters import Origin
from app.domain.model.events import Event
from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.ids import TaskId, as_task_id, derived_task_id
from app.domain.model.letters import LetterDiscarded, LetterRedriven, Settlement
from app.domain.model.messages import Message, rfc3339
from app.domain.model.priorities import Priority
from app.domain.model.vocabulary import MESSAGES
from app.ports.task_queue import Undecodable

COMMAND_READERS: Mapping[str, Callable[[Body], SubmitTask]] = {
    TYPE_PREFIX + name: message.model_validate
    for name, message in MESSAGES.items()
    if issubclass(message, SubmitTask)
}
CONTROL_READERS: Mapping[str, Callable[[Body], CancelTask]] = {
    TYPE_PREFIX + CancelTask.TYPE: CancelTask.model_validate,
}
SETTLEMENT_READERS: Mapping[str, Callable[[Body], Settlement]] = {
    TYPE_PREFIX + LetterRedriven.TYPE: LetterRedriven.model_validate,
    TYPE_PREFIX + LetterDiscarded.TYPE: LetterDiscarded.model_validate,
}
FLEET_READERS: Mapping[str, Callable[[Body], WorkerHeartbeat]] = {
    TYPE_PREFIX + WorkerHeartbeat.TYPE: WorkerHeartbeat.model_validate,
}
EVENT_READERS: Mapping[str, Callable[[Body], Event]] = {
    TYPE_PREFIX + name: message.model_validate
    for name, message in MESSAGES.items()
    if issubclass(message, Event)
}
"""What makes a message of a body, by `ce_type`. When a type gets a new version, the reader of
the old one stays here, and makes the new message of the old body."""

Read = TypeVar("Read", bound=Message)

_EVENTS: Mapping[str, type[Event]] = {
    TYPE_PREFIX + name: message for name, message in MESSAGES.items() if issubclass(message, Event)
}

_SUBMIT = TYPE_PREFIX + SubmitTask.TYPE
_CANCEL = TYPE_PREFIX + CancelTask.TYPE
_source_of_worker = lru_cache(maxsize=1_000)(source_of_worker)
_START = datetime.fromtimestamp(0, UTC)


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
    if isinstance(message, SubmitTask):
        subject, event_id, at = message.id, str(message.id), message.submitted_at
        key, source = message.context_id or subject, "/crewline"
    elif isinstance(message, Event):
        subject, at = message.task_id, message.at
        event_id = f"{subject}/{message.attempt}.{message.sequence}"
        key, source = subject, _source_of_worker(message.worker_id)
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
    earlier = message.earlier if isinstance(message, SubmitTask) else Earlier()
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
            agent, earlier = topic.agent if topic else None, Earlier(*attributes.earlier)
            return Undecodable(str(error), task_id, agent, earlier)

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
            return _read(EVENT_READERS, attributes.type, body)
        except Unreadable as error:
            return Undecodable(str(error), as_task_id(attributes.subject or ""))

    def control(self, record: Record) -> CancelTask | Undecodable | None:
        """What a record of the control topic asks for; None for a null value."""
        if record.value is None:
            return None
        attributes = read_headers(record.headers)
        try:
            attributes, body = read_event(record.value, attributes)
            return _cancel_task(record, attributes, body)
        except Unreadable as error:
            return Undecodable(str(error), _subject_or_key(record, attributes))

    def settlement(self, record: Record) -> Settlement | Undecodable | None:
        """What a record says was done about a dead letter; None for a null value."""
        if record.value is None:
            return None
        attributes = read_headers(record.headers)
        try:
            attributes, body = read_event(record.value, attributes)
            body["traceparent"] = attributes.traceparent
            return _read(SETTLEMENT_READERS, attributes.type, body)
        except Unreadable as error:
            return Undecodable(str(error))

    def heartbeat(self, record: Record) -> WorkerHeartbeat | Undecodable | None:
        """What a worker says of itself; None for a null value, which takes it off the list."""
        if record.value is None:
            return None
        try:
            attributes, body = read_event(record.value, read_headers(record.headers))
            return _read(FLEET_READERS, attributes.type, body)
        except Unreadable as error:
            return Undecodable(str(error))

    def any(self, record: Record) -> Message | Undecodable | None:
        """The command or the event in a record, whichever its topic is for."""
        if self._command_topic(record.topic) is not None:
            return self.command(record)
        if record.topic == self._control:
            return self.control(record)
        if record.topic == self._workers:
            return self.heartbeat(record)
        if record.topic == self._dead_letters:
            return self.settlement(record)
        return self.event(record)


def origin_of(record: Record) -> Origin:
    """Where a record stands, and exactly what it is."""
    return Origin(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=_moment(record.timestamp),
        key=record.key,
        value=record.value,
        headers=tuple((name, value or b"") for name, value in record.headers),
    )


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
        body["submitted_at"] = _read_time(attributes.time) or _moment(record.timestamp)
    return _read(COMMAND_READERS, attributes.type or _SUBMIT, body)


def _cancel_task(record: Record, attributes: Attributes, body: Body) -> CancelTask:
    body["traceparent"] = attributes.traceparent
    if body.get("task_id") is None:
        body["task_id"] = _subject_or_key(record, attributes)
    if body["task_id"] is None:
        raise Unreadable("it names no task: the key, or `task_id`, must be a task's id")
    if body.get("at") is None:
        body["at"] = _read_time(attributes.time) or _moment(record.timestamp)
    return _read(CONTROL_READERS, attributes.type or _CANCEL, body)


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


def _read(readers: Mapping[str, Callable[[Body], Read]], kind: str | None, body: Body) -> Read:
    reader = readers.get(kind or "")
    if reader is None:
        raise Unreadable(f"a message of type {kind!r:.100} is not for this topic")
    try:
        return reader(body)
    except ValidationError as error:
        raise Unreadable(_summary(error)) from error
    except OverflowError as error:
        raise Unreadable("a time is out of range") from error


def _summary(error: ValidationError) -> str:
    """The first places that do not fit, without the values that stand there."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    places = [f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in errors[:3]]
    return "; ".join(places)[:500]


def _told_task_id(record: Record, attributes: Attributes, body: Body) -> TaskId:
    """The id in the body, the subject or the key, else one made of the coordinates.

    A key that is the conversation's id is no task's: its tasks would all be one.
    """
    body_id = body.get("id")
    key = (record.key or b"").decode("utf-8", "replace")
    return (
        (as_task_id(body_id) if isinstance(body_id, str) else None)
        or as_task_id(attributes.subject or "")
        or (as_task_id(key) if key != body.get("context_id") else None)
        or derived_task_id(record.topic, record.partition, record.offset)
    )


def _subject_or_key(record: Record, attributes: Attributes) -> TaskId | None:
    key = (record.key or b"").decode("utf-8", "replace")
    return as_task_id(attributes.subject or "") or as_task_id(key)


def _read_time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except (ValueError, OverflowError):
        return None


def _moment(milliseconds: int) -> datetime:
    """A record's timestamp; a producer may have written any number there."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return _START
