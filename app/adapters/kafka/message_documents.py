"""How the published contract describes each message: its headers, its schema, its prose."""

from typing import Any

from pydantic import JsonValue
from pydantic.json_schema import models_json_schema

from app.adapters.kafka.cloudevents import EARLIER, TYPE_PREFIX
from app.domain.model.commands import CancelTask, Earlier, SubmitTask
from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.messages import Message
from app.domain.model.vocabulary import MESSAGES

Json = dict[str, Any]

PLAIN = "plain"
PLAIN_CANCEL = "plain-cancel"
DEAD_LETTER = "dead-letter"
DELAYED_TASK = "delayed-task"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_HEADERS = "CloudEventHeaders"
_EARLIER = "EarlierHeaders"
_PLAIN = "PlainTask"
_PLAIN_CANCEL = "PlainCancel"


def json_schema(message: type[Message]) -> Json:
    """The JSON Schema of a message's body, to stand by itself."""
    schema = _in_the_body(message.model_json_schema())
    title = f"{TYPE_PREFIX}{message.TYPE}"
    return {"$schema": _DIALECT, "$id": f"urn:crewline:{message.TYPE}", **schema, "title": title}


def _in_the_body(schema: Json) -> Json:
    """Without the trace context, which travels in a header."""
    schema["properties"].pop("traceparent", None)
    return schema


def messages() -> Json:
    """Every message of the AsyncAPI document, by its name there."""
    described: Json = {message.TYPE: _message(message) for message in MESSAGES.values()}
    return {
        **described,
        PLAIN: _plain_message(),
        PLAIN_CANCEL: _plain_cancel(),
        DELAYED_TASK: _delayed_task(),
        DEAD_LETTER: _dead_letter(),
    }


def schemas() -> Json:
    """Every schema the messages refer to."""
    models = [(message, "validation") for message in MESSAGES.values()]
    _, definitions = models_json_schema(
        models,  # type: ignore[arg-type]  # a literal, in a list
        ref_template="#/components/schemas/{model}",
    )
    found: Json = definitions["$defs"]
    del found[Earlier.__name__]  # in headers, and nothing refers to it
    for message in MESSAGES.values():
        _in_the_body(found[message.__name__])
    submit = found[SubmitTask.__name__]
    found[_PLAIN] = {
        **submit,
        "title": _PLAIN,
        "description": "A task in as few words as possible: what is missing is filled in.",
        "required": ["input"],
    }
    found[_PLAIN_CANCEL] = {
        **{name: part for name, part in found[CancelTask.__name__].items() if name != "required"},
        "title": _PLAIN_CANCEL,
        "description": "A cancel in as few words as possible: the key says which task.",
    }
    found[_HEADERS] = _cloudevent_headers()
    found[_EARLIER] = _earlier_headers()
    return found


def _reference(schema: str) -> Json:
    return {"$ref": f"#/components/schemas/{schema}"}


def _message(message: type[Message]) -> Json:
    kind = f"{TYPE_PREFIX}{message.TYPE}"
    return {
        "name": kind,
        "title": message.__name__,
        "summary": (message.__doc__ or message.__name__).strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {
            "allOf": [
                _reference(_HEADERS),
                {"type": "object", "properties": {"ce_type": {"const": kind}}},
                *([_reference(_EARLIER)] if message is SubmitTask else []),
            ]
        },
        "payload": _reference(message.__name__),
    }


def _plain_message() -> Json:
    return {
        "name": PLAIN,
        "title": "A task as plain JSON",
        "summary": "No headers needed; only `input` is.",
        "description": (
            "`id` is the body's, else `ce_subject` or the key where that is a UUID, else one made "
            "of topic, partition and offset. `agent` and `runtime` come from the topic, "
            "`submitted_at` from `ce_time` or the record's timestamp."
        ),
        "contentType": "application/json",
        "headers": _reference(_EARLIER),
        "payload": _reference(_PLAIN),
        "examples": [{"name": "smallest", "payload": {"input": "What is Kafka?"}}],
    }


def _plain_cancel() -> Json:
    return {
        "name": PLAIN_CANCEL,
        "title": "A cancel as plain JSON",
        "summary": "No headers needed, and no field; the key is the task's id.",
        "description": (
            "`task_id` is the body's, else `ce_subject` or the key where that is a UUID; `at` is "
            "`ce_time` or the record's timestamp."
        ),
        "contentType": "application/json",
        "payload": _reference(_PLAIN_CANCEL),
        "examples": [{"name": "smallest", "payload": {"reason": "changed my mind"}}],
    }


def _delayed_task() -> Json:
    submit = _message(SubmitTask)
    waits = {
        "crewline-not-before": {
            "type": "string",
            "format": "date-time",
            "description": "When it goes back to its command topic.",
        },
        "crewline-key": {
            "type": "string",
            "description": "The key it had there, and gets again.",
        },
        "crewline-moved": {
            "type": "string",
            "description": "It was written again while it waited, to make room for others.",
        },
    }
    own = {"type": "object", "properties": waits, "required": ["crewline-not-before"]}
    return {
        **submit,
        "title": "A task that waits",
        "summary": "A task, and the time it waits for.",
        "headers": {"allOf": [*submit["headers"]["allOf"], own]},
    }


def _dead_letter() -> Json:
    text: Json = {"type": "string"}
    time = {**text, "format": "date-time"}
    headers = {
        "dlq-reason": {**text, "enum": [reason.value for reason in DeadLetterReason]},
        "dlq-detail": text,
        "dlq-topic": text,
        "dlq-partition": text,
        "dlq-offset": text,
        "dlq-timestamp": time,
        "dlq-at": time,
        "dlq-attempts": {**text, "description": "How many runs there were."},
        "dlq-redrives": {**text, "description": "How often it was sent again before."},
        "dlq-agent": {**text, "description": "Where it could be told."},
        "dlq-task-id": {**text, "description": "Where it could be told."},
        "dlq-value-omitted": {
            **text,
            "description": "How many bytes did not fit, or `unread`.",
        },
    }
    optional = {"dlq-task-id", "dlq-agent", "dlq-value-omitted"}
    required = [name for name in headers if name not in optional]
    return {
        "name": DEAD_LETTER,
        "title": "Dead letter",
        "summary": "The original message and why it could not be acted on.",
        "headers": {"type": "object", "properties": headers, "required": required},
        "payload": {"description": "The original bytes."},
    }


def _cloudevent_headers() -> Json:
    text: JsonValue = "string"
    properties: dict[str, JsonValue] = {
        "ce_specversion": {"type": text, "const": "1.0"},
        "ce_id": {"type": text, "description": "The same for the same message sent twice."},
        "ce_source": {"type": text, "format": "uri-reference"},
        "ce_type": {"type": text},
        "ce_time": {"type": text, "format": "date-time"},
        "ce_subject": {"type": text, "format": "uuid", "description": "The task id."},
        "content-type": {"type": text, "const": "application/json"},
        "traceparent": {"type": text, "description": "W3C Trace Context."},
    }
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type"]
    return {"type": "object", "properties": properties, "required": required}


def _earlier_headers() -> Json:
    number: Json = {"type": "string", "pattern": "^[0-9]{1,6}$"}
    described = (
        {**number, "description": "Runs of the task before this message of it was sent."},
        {**number, "description": "Those that count against the agent's retries."},
        {**number, "description": "How often it came back from the dead letters."},
        {"type": "string", "format": "date-time", "description": "When it last did."},
    )
    return {
        "type": "object",
        "description": "What became of a task before; a task that is submitted has none of it.",
        "properties": dict(zip(EARLIER, described, strict=True)),
    }
