"""The published contract of the topics: an AsyncAPI document, and a JSON Schema for each message.

FastStream is told of every channel once and writes the document's frame; nothing here is ever
started. It takes one payload for a channel and knows no CloudEvents, so the messages themselves,
their headers and their schemas are filled in from the vocabulary.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI

from app.adapters.kafka.message_documents import (
    DEAD_LETTER,
    DELAYED_TASK,
    PLAIN,
    PLAIN_CANCEL,
    Json,
    json_schema,
    messages,
    schemas,
)
from app.adapters.kafka.topics import Topics
from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import ResultEvent, TraceEvent
from app.domain.model.fleet import WorkerHeartbeat
from app.domain.model.letters import LetterDiscarded, LetterRedriven
from app.domain.model.messages import Message
from app.domain.model.vocabulary import MESSAGES

VERSION = "1.0.0"
"""Of the contract: raised whenever a message, a field or a channel is added."""

_DESCRIPTION = """\
Submit tasks by producing to an agent's command topic, and follow them on the results topic.

Messages are CloudEvents 1.0 in binary mode: attributes in headers, JSON in the value. Structured
mode (`application/cloudevents+json`) is read too, and so is a plain JSON object without headers.
Within a version fields are only ever added: ignore those you do not know."""


@dataclass(frozen=True, slots=True)
class _Channel:
    name: str
    address: str
    received: bool
    """Whether Crewline reads it; it writes the others."""
    messages: tuple[type[Message], ...]
    description: str
    plain: str = PLAIN
    """What a message without headers is taken for, where it is received."""
    beside: tuple[str, ...] = ()
    """Messages that travel here in a form of their own."""


def _channels(topics: Topics) -> list[_Channel]:
    keyed = "Key: the task id."
    asked = "Key: the task id, or the conversation's id to have its tasks run in order."
    return [
        _Channel(
            "commands",
            topics.commands("{agent}"),
            True,
            (SubmitTask,),
            f"What one agent's workers are to do. {asked}",
        ),
        _Channel(
            "runtimeCommands",
            topics.commands("{agent}", "{runtime}"),
            True,
            (SubmitTask,),
            f"The same, for workers of one runtime only. {asked}",
        ),
        _Channel(
            "urgentCommands",
            topics.urgent("{agent}"),
            True,
            (SubmitTask,),
            "The same for tasks of priority high or critical, which pass those that wait; a body "
            f"that names no priority is high. {asked}",
        ),
        _Channel(
            "urgentRuntimeCommands",
            topics.urgent("{agent}", "{runtime}"),
            True,
            (SubmitTask,),
            f"The same, for workers of one runtime only. {asked}",
        ),
        _Channel(
            "control",
            topics.control,
            True,
            (CancelTask,),
            f"What is asked of tasks that are already there. {keyed} Every worker reads it from "
            "its start, so it reaches a task wherever it waits.",
            PLAIN_CANCEL,
        ),
        _Channel(
            "results",
            topics.results,
            False,
            get_args(ResultEvent),
            f"How each task gets on and how it ends. {keyed} Delivered at least once; a run "
            "numbers its events of results and traces in one sequence without gaps.",
        ),
        _Channel(
            "traces",
            topics.traces,
            False,
            get_args(TraceEvent),
            f"What happens inside a run: steps, model and tool calls, tokens. {keyed}",
        ),
        _Channel(
            "workers",
            topics.workers,
            False,
            (WorkerHeartbeat,),
            "What each worker has in hand, every few seconds. Key: the worker id. Compacted; a "
            "null value is a worker that has stopped.",
        ),
        _Channel(
            "retries",
            topics.retries,
            False,
            (),
            "Tasks that wait for their time, or for another attempt, until a worker puts them "
            f"back. {keyed} For workers only: produce a task with `not_before` instead.",
            beside=(DELAYED_TASK,),
        ),
        _Channel(
            "deadLetters",
            topics.dead_letters,
            False,
            (LetterRedriven, LetterDiscarded),
            "Messages nobody could act on, with key, value and headers as they were, and "
            "the reason in headers that begin with `dlq-`; and what was done about them, as "
            "CloudEvents about the letter's id.",
            beside=(DEAD_LETTER,),
        ),
    ]


def contract_files() -> Mapping[str, str]:
    """Every published file by its path: `asyncapi.json` and `schemas/<type>.json`."""
    files = {
        f"schemas/{name}.json": _text(json_schema(message)) for name, message in MESSAGES.items()
    }
    return {"asyncapi.json": _text(_asyncapi(Topics())), **files}


def _text(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


# --- AsyncAPI


def _asyncapi(topics: Topics) -> Json:
    channels = _channels(topics)
    document = _frame(channels)
    for channel in channels:
        names = [*channel.beside, *(message.TYPE for message in channel.messages)]
        if channel.received:
            names.append(channel.plain)
        described = document["channels"][channel.name]
        described["messages"] = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
        if parameters := _parameters(channel.address):
            described["parameters"] = parameters
        document["operations"][channel.name]["messages"] = [
            {"$ref": f"#/channels/{channel.name}/messages/{name}"} for name in names
        ]
    for part in ("channels", "operations"):
        document[part] = {channel.name: document[part][channel.name] for channel in channels}
    document["components"] = {"messages": messages(), "schemas": schemas()}
    return document


def _frame(channels: list[_Channel]) -> Json:
    broker = KafkaBroker("localhost:9092")
    for channel in channels:
        title, description = channel.name, channel.description
        payload = channel.messages[0] if channel.messages else bytes
        if channel.received:

            async def read(message: payload) -> None:  # type: ignore[valid-type]
                """Declared only: the worker engine reads this channel."""

            broker.subscriber(channel.address, title=title, description=description)(read)
        else:
            broker.publisher(channel.address, schema=payload, title=title, description=description)
    specification = AsyncAPI(
        broker,
        title="Crewline",
        version=VERSION,
        description=_DESCRIPTION,
        license={"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        schema_version="3.0.0",
    )
    frame: Json = json.loads(specification.to_specification().to_json())
    return frame


def _parameters(address: str) -> Json:
    described = {"agent": "The agent's name.", "runtime": "The runtime's name."}
    return {
        name: {"description": text} for name, text in described.items() if f"{{{name}}}" in address
    }
