"""What travels beside tasks and their events: cancels, heartbeats, what was done about letters."""

from collections.abc import Callable, Mapping

from app.adapters.kafka.bodies import moment, read_body, subject_or_key
from app.adapters.kafka.cloudevents import (
    TYPE_PREFIX,
    Attributes,
    Body,
    Record,
    Unreadable,
    read_event,
    read_headers,
    read_time,
)
from app.domain.model.commands import CancelTask
from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.letters import LetterDiscarded, LetterRedriven, Settlement
from app.ports.task_queue import Undecodable

_CANCEL = TYPE_PREFIX + CancelTask.TYPE
_CONTROL_READERS: Mapping[str, Callable[[Body], CancelTask]] = {
    _CANCEL: CancelTask.model_validate,
}
_SETTLEMENT_READERS: Mapping[str, Callable[[Body], Settlement]] = {
    TYPE_PREFIX + LetterRedriven.TYPE: LetterRedriven.model_validate,
    TYPE_PREFIX + LetterDiscarded.TYPE: LetterDiscarded.model_validate,
}
_FLEET_READERS: Mapping[str, Callable[[Body], WorkerHeartbeat]] = {
    TYPE_PREFIX + WorkerHeartbeat.TYPE: WorkerHeartbeat.model_validate,
}


def read_control(record: Record) -> CancelTask | Undecodable | None:
    """What a record of the control topic asks for; None for a null value."""
    if record.value is None:
        return None
    attributes = read_headers(record.headers)
    try:
        attributes, body = read_event(record.value, attributes)
        return _cancel_task(record, attributes, body)
    except Unreadable as error:
        return Undecodable(str(error), subject_or_key(record, attributes))


def read_settlement(record: Record) -> Settlement | Undecodable | None:
    """What a record says was done about a dead letter; None for a null value."""
    if record.value is None:
        return None
    attributes = read_headers(record.headers)
    try:
        attributes, body = read_event(record.value, attributes)
        body["traceparent"] = attributes.traceparent
        return read_body(_SETTLEMENT_READERS, attributes.type, body)
    except Unreadable as error:
        return Undecodable(str(error))


def read_heartbeat(record: Record) -> WorkerHeartbeat | Undecodable | None:
    """What a worker says of itself; None for a null value, which takes it off the list."""
    if record.value is None:
        return None
    try:
        attributes, body = read_event(record.value, read_headers(record.headers))
        return read_body(_FLEET_READERS, attributes.type, body)
    except Unreadable as error:
        return Undecodable(str(error))


def _cancel_task(record: Record, attributes: Attributes, body: Body) -> CancelTask:
    body["traceparent"] = attributes.traceparent
    if body.get("task_id") is None:
        body["task_id"] = subject_or_key(record, attributes)
    if body["task_id"] is None:
        raise Unreadable("it names no task: the key, or `task_id`, must be a task's id")
    if body.get("at") is None:
        body["at"] = read_time(attributes.time) or moment(record.timestamp)
    return read_body(_CONTROL_READERS, attributes.type or _CANCEL, body)
