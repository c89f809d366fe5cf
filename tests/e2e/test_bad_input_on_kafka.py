"""Whatever is produced to a command topic: nothing is dropped in silence, nothing is held up."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.e2e.fleet import Fleet
from tests.e2e.outside import (
    EVERYTHING,
    Headers,
    Outside,
    Read,
    new_fleet,
    outside,
    standing,
    start,
)
from tests.waiting import until

pytestmark = pytest.mark.kafka

ANALYST = "commands.business-analyst"
NOBODY = "commands.nobody"
GOOD = b'{"input": "a library"}'
CHOSEN = "0198c0de-0000-7000-8000-00000000000a"
HUGE_HEADERS = [(f"h{n}", b"x" * 50_000) for n in range(10)]
STRUCTURED = [("content-type", b"application/cloudevents+json")]


class Bad(NamedTuple):
    """A record that is no task anybody can run, and what is said about it."""

    name: str
    value: bytes
    detail: str
    key: bytes | None = None
    headers: Headers = ()
    topic: str = ANALYST
    reason: str = "undecodable"
    code: str | None = None
    """The error's code, where it is not the reason."""
    task_id: str | None = None
    """The id it brings; without one, that of its coordinates."""


BAD = [
    Bad("an empty value", b"", "the value is empty"),
    Bad("bytes that are not UTF-8", b'{"input": "\xff"}', "not JSON"),
    Bad("UTF-16", GOOD.decode().encode("utf-16"), "not JSON"),
    Bad("no JSON", b"hello", "not JSON"),
    Bad("NaN", b'{"input": "x", "parameters": {"a": NaN}}', "not JSON"),
    Bad("half a surrogate", b'{"input": "\\ud800"}', "not JSON"),
    Bad("an array", b"[]", "not an object"),
    Bad("null", b"null", "not an object"),
    Bad("a number", b"7", "not an object"),
    Bad("no input", b"{}", "input: Field required"),
    Bad("wrong types", b'{"input": 7, "labels": []}', "labels: Input should be a valid dictionary"),
    Bad("a time that is none", b'{"input": "x", "expires_at": "soon"}', "expires_at"),
    Bad("a time out of range", b'{"input": "x", "expires_at": 1e18}', "expires_at"),
    Bad("an array 10,000 deep", b'{"input": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "limit"),
    Bad(
        "an array 100 deep",
        b'{"input": "x", "parameters": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}",
        "nested over 64 deep",
    ),
    Bad("a number beyond all others", b'{"input": "x", "parameters": {"a": 1e999}}', "too large"),
    Bad(
        "an unknown type",
        GOOD,
        "'crewline.task.fly.v1' is not for this topic",
        headers=[("ce_type", b"crewline.task.fly.v1")],
    ),
    Bad(
        "an event's type",
        GOOD,
        "'crewline.task.completed.v1' is not for this topic",
        headers=[("ce_type", b"crewline.task.completed.v1")],
    ),
    Bad("an envelope without type", b'{"data": {"input": "x"}}', "no type", headers=STRUCTURED),
    Bad(
        "an envelope around a text",
        b'{"type": "crewline.task.submit.v1", "data": "x"}',
        "data is not a JSON object",
        headers=STRUCTURED,
    ),
    Bad("an id that is no UUID", b'{"id": "order-1", "input": "x"}', "id: "),
    Bad(
        "an id that is no UUID, under a key that is one",
        b'{"id": "order-1", "input": "x"}',
        "id: ",
        key=CHOSEN.encode(),
        task_id=CHOSEN,
    ),
    Bad("another agent than the topic's", b'{"agent": "developer", "input": "x"}', "agent: "),
    Bad(
        "900 kB that are no JSON, under 10 kB of key and 100 kB of headers",
        b"x" * 900_000,
        "not JSON",
        key=b"\xff" * 10_000,
        headers=HUGE_HEADERS[:2],
    ),
    Bad(
        "an input that does not fit the agent",
        b'{"input": "   "}',
        "input: must not be blank",
        reason="invalid",
    ),
    Bad(
        "an input of 900 kB",
        json.dumps({"input": "x" * 900_000}).encode(),
        "input: has 900,000 characters",
        reason="invalid",
    ),
    Bad(
        "a limit misspelt",
        b'{"input": "x", "budget": {"tokens": 9, "max_tokns": 5}}',
        "budget: 'max_tokns' is no limit",
        reason="invalid",
    ),
    Bad(
        "a runtime the agent does not have",
        b'{"input": "x", "runtime": "python"}',
        "business-analyst has no runtime 'python'",
        reason="invalid",
        code="unknown-runtime",
    ),
    Bad(
        "a runtime the worker does not have",
        b'{"input": "x", "runtime": "crewai"}',
        "which this worker does not have",
        reason="invalid",
        code="unknown-runtime",
    ),
    Bad(
        "an agent nobody knows",
        GOOD,
        "no agent is called 'nobody'",
        topic=NOBODY,
        reason="unknown-agent",
    ),
    Bad("no JSON for an agent nobody knows", b"hello", "not JSON", topic=NOBODY),
]


class Odd(NamedTuple):
    """A record that looks strange and is a task all the same."""

    name: str
    value: bytes = GOOD
    key: bytes | None = None
    headers: Headers = ()


ODD = [
    Odd("a broken traceparent", headers=[("traceparent", b"00-zz-yy-01")]),
    Odd("500 kB of headers", headers=HUGE_HEADERS),
    Odd("headers that are not UTF-8", headers=[("\u00fc", b"\xff"), ("ce_time", b"\xff")]),
    Odd("a key of 10 kB", key=b"k" * 10_000),
    Odd("a key that is not UTF-8", key=b"\xff\xfe"),
    Odd("900 kB", json.dumps({"input": "x", "parameters": {"a": "x" * 900_000}}).encode()),
    Odd("fields nobody knows", b'{"input": "x", "colour": "red", "links": {"a": [1]}}'),
    Odd("a null character", b'{"input": "a\\u0000b", "parameters": {"c\\u0000": "\\u0000"}}'),
    Odd("a number of 100 digits", b'{"input": "x", "parameters": {"a": ' + b"9" * 100 + b"}}"),
    Odd("nulls for what has a default", b'{"id": null, "agent": null, "input": "x"}'),
]


@pytest.fixture(scope="module")
def fleet(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = new_fleet(tmp_path_factory.mktemp("bad"), kafka)
    with standing(fleet):
        asyncio.run(make_topic(fleet, NOBODY))
        start(fleet, *EVERYTHING)
        yield fleet


async def make_topic(fleet: Fleet, topic: str) -> None:
    """By hand, as somebody who misspells an agent would."""
    admin = AIOKafkaAdminClient(bootstrap_servers=fleet.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(f"{fleet.prefix}.{topic}", 1, 1)])
    finally:
        await admin.close()


@pytest.fixture
async def user(fleet: Fleet) -> AsyncIterator[Outside]:
    async with outside(fleet) as user:
        yield user


async def good(user: Outside, topic: str = ANALYST) -> str:
    """A task on partition 0; its id."""
    task_id = str(uuid.uuid4())
    await user.produce(topic, GOOD, task_id.encode(), partition=0)
    return task_id


async def letter_of(user: Outside, topic: str, offset: int) -> Read:
    """The dead letter of the record at this offset of partition 0."""
    where = {("dlq-topic", f"{user.fleet.prefix}.{topic}".encode()), ("dlq-partition", b"0")}
    where.add(("dlq-offset", str(offset).encode()))
    (letter,) = await user.read("dead-letters", lambda record: where <= set(record.headers))
    return letter


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
async def test_it_becomes_a_dead_letter_and_holds_up_nobody(user: Outside, bad: Bad) -> None:
    before = await good(user)
    offset, unnamed = await user.produce_unnamed(bad.topic, bad.value, bad.key, bad.headers)
    after = await good(user)
    for task_id in (before, after):
        assert (await user.ended(task_id))["state"] == "completed"

    letter = await letter_of(user, bad.topic, offset)
    assert (letter.value, letter.key) == (bad.value, bad.key)
    assert list(letter.headers[: len(bad.headers)]) == list(bad.headers)
    why = dict(letter.headers[len(bad.headers) :])
    assert why["dlq-reason"].decode() == bad.reason
    assert bad.detail in why["dlq-detail"].decode()
    task_id = bad.task_id or unnamed
    assert why["dlq-task-id"].decode() == task_id

    task = await user.ended(task_id)
    assert (task["state"], task["reason"]) == ("rejected", "dead-lettered")
    assert (task["error"]["code"], task["error"]["retryable"]) == (
        bad.code or bad.reason,
        False,
    )
    assert bad.detail in task["error"]["message"]
    assert task["agent"] == bad.topic.partition(".")[2]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
async def test_it_is_strange_and_yet_a_task(user: Outside, odd: Odd) -> None:
    _, task_id = await user.produce_unnamed(ANALYST, odd.value, odd.key, odd.headers)
    after = await good(user)
    task = await user.ended(task_id)
    assert (task["state"], task["trace_id"]) == ("completed", None)
    sent = json.loads(odd.value)
    assert task["input"] == sent["input"]
    assert task["parameters"] == sent.get("parameters", {})
    assert (await user.ended(after))["state"] == "completed"


@pytest.mark.parametrize(
    ("compression", "size"),
    [("zstd", 100_000_000), ("gzip", 100_000_000), ("lz4", 100_000_000), ("snappy", 17_000_000)],
)
@pytest.mark.timeout(240)
async def test_a_record_that_unpacks_too_far_is_set_aside_and_fills_no_memory(
    user: Outside, compression: str, size: int
) -> None:
    before = await good(user)
    assert (await user.ended(before))["state"] == "completed"
    peaks = {name: peak_of(process.pid) for name, process in user.fleet.running.items()}
    producer = AIOKafkaProducer(
        bootstrap_servers=user.fleet.kafka,
        compression_type=compression,
        max_request_size=2 * size,
        request_timeout_ms=120_000,
    )
    await producer.start()
    name = f"{user.fleet.prefix}.{ANALYST}"
    bomb = b'{"input": "' + b"x" * size + b'"}'
    stored = await producer.send_and_wait(name, bomb, key=b"bomb", partition=0)
    await producer.stop()
    after = await good(user)
    assert (await user.ended(after))["state"] == "completed"
    letter = await letter_of(user, ANALYST, stored.offset)
    why = dict(letter.headers)
    assert (letter.value, why["dlq-reason"]) == (b"", b"undecodable")
    assert why["dlq-value-omitted"] == b"unread"
    assert f"{name}/0@{stored.offset}" in why["dlq-detail"].decode()
    task = await user.ended(why["dlq-task-id"].decode())
    assert (task["state"], task["error"]["code"]) == ("rejected", "undecodable")
    listed = await user.http.get("/v1/tasks?limit=10")
    assert len(listed.content) < 100_000
    grown = {name: peak_of(user.fleet.running[name].pid) - peak for name, peak in peaks.items()}
    assert max(grown.values()) < 70_000_000, grown


def peak_of(pid: int) -> int:
    """The most memory a process has had so far, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1_024


async def test_a_null_value_asks_for_nothing(user: Outside) -> None:
    task_id = str(uuid.uuid4())
    _, offset = await user.produce(ANALYST, None, task_id.encode(), partition=0)
    await user.produce(ANALYST, b"hello", partition=0)
    assert (await user.ended(await good(user)))["state"] == "completed"
    await letter_of(user, ANALYST, offset + 1)
    assert (await user.http.get(f"/v1/tasks/{task_id}")).status_code == 404


async def test_a_task_that_expired_in_the_queue_is_rejected_without_a_dead_letter(
    user: Outside,
) -> None:
    task_id = str(uuid.uuid4())
    late = b'{"input": "x", "expires_at": "2001-01-01T00:00:00Z"}'
    await user.produce(ANALYST, late, task_id.encode(), partition=0)
    task = await user.ended(task_id)
    assert (task["state"], task["reason"]) == ("rejected", "expired")


async def test_a_stray_record_under_a_running_tasks_key_does_not_end_that_task(
    user: Outside,
) -> None:
    task_id = str(uuid.uuid4())
    body = b'{"input": "sleep", "parameters": {"seconds": 5}}'
    await user.produce("commands.sleeper", body, task_id.encode(), partition=0)
    await until(lambda: any(entry.task_id == task_id for entry in user.fleet.ledger))
    # a key is a lane: only under another can it be read while the task runs
    stray: Headers = [("ce_subject", task_id.encode())]
    _, offset = await user.produce("commands.sleeper", b"hello", b"stray", stray, partition=0)
    await letter_of(user, "commands.sleeper", offset)
    assert (await user.ended(task_id))["state"] == "completed"


def test_none_of_this_is_an_error_of_ours(fleet: Fleet) -> None:
    fleet.refuse_dead()
    for process in EVERYTHING:
        assert '"level": "error"' not in fleet.log_of(process)
