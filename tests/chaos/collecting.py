"""Gathers the evidence when all is over: topics from offset 0, rows, HTTP, the ledger."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import JsonValue

from app.adapters.kafka.cloudevents import read_headers
from app.adapters.kafka.codec import Codec
from app.adapters.kafka.dead_letters import read_lying
from app.adapters.kafka.topics import Topics
from app.adapters.sql.dump import dump
from app.adapters.sql.opening import open_database
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import DeadLetter
from app.domain.model.events import (
    ResultEvent,
    TaskCanceled,
    TaskCompleted,
    TaskError,
    TaskFailed,
    TaskRejected,
)
from app.domain.model.letters import LetterRedriven
from app.ports.task_queue import Undecodable
from tests.chaos.evidence import Command, Delayed, Evidence, Letter, Place, Settled, Shown, Told
from tests.chaos.fleet import Fleet
from tests.chaos.history import read_history
from tests.chaos.ledger import read_ledger
from tests.chaos.partitions import partitions_of

Record: TypeAlias = ConsumerRecord[bytes, bytes]

_TERMINAL = {
    TaskCompleted: "completed",
    TaskFailed: "failed",
    TaskCanceled: "canceled",
    TaskRejected: "rejected",
}


async def collect(fleet: Fleet, history: Path) -> Evidence:
    """Everything, while the fleet still answers."""
    topics = Topics(fleet.prefix)
    records = await read_topics(fleet.kafka, fleet.prefix)
    compared = await fleet.run("rebuild", "--check", "--json")
    return Evidence(
        history=read_history(history),
        ledger=read_ledger(fleet.folder),
        **sort_out(records, topics),
        shown=await read_http(fleet.url(fleet.gateways[0])),
        stored=await read_store(fleet.store),
        rebuilt=None if compared.returncode == 0 else f"{compared.stdout}{compared.stderr}".strip(),
    )


async def read_topics(servers: str, prefix: str) -> list[Record]:
    """Every record of the installation but its traces."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        isolation_level="read_committed",
        max_partition_fetch_bytes=4_000_000,
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    try:
        await consumer.start()
        await admin.start()
        known = await partitions_of(admin, prefix)
        partitions = [name for name in known if not name.topic.endswith(".traces")]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        found: list[Record] = []
        while any([await consumer.position(name) < end for name, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                found += batch
        return found
    finally:
        await consumer.stop()
        await admin.close()


def sort_out(records: Iterable[Record], topics: Topics) -> dict[str, Any]:
    """The parts of the evidence that the topics tell."""
    codec = Codec(topics)
    commands, told, letters, settled, delayed = [], [], [], [], []
    for record in records:
        if topics.read_command_topic(record.topic) is not None:
            commands.append(_command(codec, record))
        elif record.topic == topics.results:
            event = codec.event(record)
            if isinstance(event, ResultEvent):
                told.append(_told(record, event))
        elif record.topic == topics.dead_letters:
            lying = read_lying(record)
            if isinstance(lying, DeadLetter):
                letters.append(_letter(record, lying))
            elif isinstance(lying, LetterRedriven):
                settled.append(Settled(at=record.timestamp / 1000, letter_id=lying.letter_id))
        elif record.topic == topics.retries and record.key is not None:
            delayed.append(_delayed(record, record.key))
    return {
        "commands": commands,
        "told": told,
        "letters": letters,
        "settled": settled,
        "delayed": delayed,
    }


def _delayed(record: Record, key: bytes) -> Delayed:
    earlier = read_headers(record.headers).earlier
    return Delayed(at=record.timestamp / 1000, task_id=key.decode(), attempts=earlier.attempts)


def _letter(record: Record, letter: DeadLetter) -> Letter:
    origin = letter.origin
    return Letter(
        at=record.timestamp / 1000,
        origin=Place(topic=origin.topic, partition=origin.partition, offset=origin.offset),
        reason=letter.reason,
        task_id=letter.task_id,
        id=letter.id,
        attempts=letter.attempts,
        redrives=letter.redrives,
    )


def _place(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "at": record.timestamp / 1000,
    }


def _command(codec: Codec, record: Record) -> Command:
    message = codec.command(record)
    key = record.key.decode("utf-8", "replace") if record.key else None
    earlier = read_headers(record.headers).earlier
    came = {"attempts": earlier.attempts, "redrives": earlier.redrives}
    if isinstance(message, SubmitTask):
        return Command(
            **_place(record),
            key=key,
            kind="task",
            task_id=message.id,
            agent=message.agent,
            submission=message.labels.get("submission"),
            text=message.input if isinstance(message.input, str) else "",
            context_id=message.context_id,
            **came,
        )
    kind = "unreadable" if isinstance(message, Undecodable) else "tombstone"
    task_id = message.task_id if isinstance(message, Undecodable) else None
    return Command(**_place(record), key=key, kind=kind, task_id=task_id, **came)


def _told(record: Record, event: ResultEvent) -> Told:
    error = event.error if isinstance(event, TaskFailed | TaskRejected) else None
    return Told(
        **_place(record),
        task_id=event.task_id,
        type=event.TYPE,
        agent=event.agent,
        attempt=event.attempt,
        sequence=event.sequence,
        worker_id=event.worker_id,
        ending=_TERMINAL.get(type(event)),
        output=event.result.output if isinstance(event, TaskCompleted) else None,
        error=_said(error),
    )


def _said(error: TaskError | None) -> str | None:
    return f"{error.code}: {error.message}" if error is not None else None


async def read_http(gateway: str) -> dict[str, Shown]:
    """Every task there is, page by page."""
    found: dict[str, Shown] = {}
    query = f"{gateway}/v1/tasks?limit=200"
    async with httpx.AsyncClient(timeout=20) as http:
        cursor: str | None = ""
        while cursor is not None:
            answer = await http.get(query + (f"&cursor={cursor}" if cursor else ""))
            answer.raise_for_status()
            page = answer.json()
            for listed in page["items"]:  # a list leaves results out
                task = await http.get(f"{gateway}/v1/tasks/{listed['id']}")
                found[listed["id"]] = _shown(task.raise_for_status().json())
            cursor = page["next_cursor"]
    return found


def _shown(task: dict[str, Any]) -> Shown:
    result, error = task["result"], task["error"]
    output: JsonValue = result["output"] if result else None
    return Shown(
        task_id=task["id"],
        state=task["state"],
        attempt=task["attempt"],
        output=output,
        error=f"{error['code']}: {error['message']}" if error else None,
    )


async def read_store(url: str) -> dict[str, str]:
    """The state of each task, from the rows themselves."""
    async with open_database(url) as database:
        return states(await dump(database))


def states(lines: Sequence[str]) -> dict[str, str]:
    rows = (json.loads(line) for line in lines)
    return {row[1]: row[3] for row in rows if row[0] == "crewline_tasks"}
