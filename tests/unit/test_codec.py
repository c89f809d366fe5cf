"""Whatever stands in a topic becomes a message or says why not; nothing makes the codec raise."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.kafka.codec import Codec, encode, origin_of
from app.adapters.kafka.topics import Topics
from app.adapters.memory.event_log import MemoryEventLog
from app.domain.model.commands import SubmitTask
from app.domain.model.ids import unnamed_task_id
from app.domain.model.messages import Message
from app.domain.model.priorities import Priority
from app.ports.task_queue import Undecodable
from tests.builders import (
    ANALYST,
    TRACEPARENT,
    canceled,
    completed,
    failed,
    input_required,
    progressed,
    rejected,
    retry_scheduled,
    started,
    stepped,
    submitted,
    task_id,
    token,
)

COMMANDS = f"crewline.commands.{ANALYST}"
URGENT = f"crewline.urgent.{ANALYST}"
WRITTEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUBMIT = b"crewline.task.submit.v1"
STRUCTURED = ("content-type", b"application/cloudevents+json; charset=utf-8")


@dataclass(frozen=True)
class Stored:
    """A record as Kafka hands it out."""

    value: bytes | None = b'{"input": "What is Kafka?"}'
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    topic: str = COMMANDS
    partition: int = 2
    offset: int = 17
    timestamp: int = int(WRITTEN.timestamp() * 1000)


def unnamed(record: Stored) -> str:
    """The id of a task whose record names none."""
    return unnamed_task_id(
        record.topic, record.partition, record.offset, record.timestamp, record.value or b""
    )


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec(Topics())


def task(codec: Codec, record: Stored) -> SubmitTask:
    decoded = codec.command(record)
    assert isinstance(decoded, SubmitTask), decoded
    return decoded


def refusal(codec: Codec, record: Stored) -> Undecodable:
    decoded = codec.command(record)
    assert isinstance(decoded, Undecodable), decoded
    return decoded


def as_json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


# --- what we write


@pytest.mark.parametrize(
    "message",
    [
        submitted(labels={"team": "a"}, parameters={"deep": [1, {"a": None}]}, context_id="c"),
        started(),
        progressed(),
        retry_scheduled(),
        input_required(),
        completed(output={"text": "ünï"}),
        failed(),
        canceled(),
        rejected(),
        stepped(),
        token(),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_is_written_reads_the_same(codec: Codec, message: Message) -> None:
    message = message.model_copy(update={"traceparent": TRACEPARENT})
    key, value, headers = encode(message)
    record = Stored(value, key, tuple(headers), topic=Topics().of(message))
    assert codec.any(record) == message
    assert b"traceparent" not in value


def test_a_command_is_a_cloudevent_in_binary_mode() -> None:
    key, value, headers = encode(submitted(traceparent=TRACEPARENT))
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": task_id().encode(),
        "ce_source": b"/crewline",
        "ce_type": SUBMIT,
        "ce_time": b"2026-01-01T00:00:00.000Z",
        "ce_subject": task_id().encode(),
        "content-type": b"application/json",
        "traceparent": TRACEPARENT.encode(),
    }
    assert key == task_id().encode()
    assert json.loads(value)["input"] == "What is Kafka?"


def test_an_events_id_is_the_same_each_time_and_no_others() -> None:
    def ce(message: Message) -> tuple[bytes, bytes]:
        headers = dict(encode(message).headers)
        return headers["ce_source"], headers["ce_id"]

    assert ce(started()) == ce(started())
    assert len({ce(started()), ce(started(attempt=2)), ce(started(worker="w 2/ä"))}) == 3


def test_a_conversations_tasks_have_one_key() -> None:
    assert encode(submitted(context_id="chat-1")).key == b"chat-1"


# --- plain JSON


def test_plain_json_is_a_task_with_documented_defaults(codec: Codec) -> None:
    asked = task(codec, Stored())
    assert (asked.id, asked.agent, asked.runtime) == (unnamed(Stored()), ANALYST, None)
    assert (asked.input, asked.submitted_at) == ("What is Kafka?", WRITTEN)


def test_the_same_record_is_the_same_task_again(codec: Codec) -> None:
    assert task(codec, Stored()) == task(codec, Stored())


def test_another_record_is_another_task_at_the_same_place_too(codec: Codec) -> None:
    """A topic that was made anew, or moved to another cluster, counts from 0 again."""
    first = Stored()
    others = [
        replace(first, offset=18),
        replace(first, timestamp=first.timestamp + 1),
        replace(first, value=b'{"input": "What is a topic?"}'),  # its producer sets the time
    ]
    ids = {task(codec, each).id for each in (first, *others)}
    assert len(ids) == 4


def test_the_id_is_that_of_the_body_then_the_subject_then_the_key(codec: Codec) -> None:
    body, subject, key = task_id("body"), task_id("subject"), task_id("key")
    everywhere = Stored(
        as_json(input="x", id=body.upper()), key.encode(), (("ce_subject", subject.encode()),)
    )
    assert task(codec, everywhere).id == body
    in_headers = replace(everywhere, value=as_json(input="x", id=None))
    assert task(codec, in_headers).id == subject
    assert task(codec, replace(in_headers, headers=())).id == key
    nowhere = replace(in_headers, headers=(), key=b"customer-7")
    assert task(codec, nowhere).id == unnamed(nowhere)


def test_a_conversations_key_is_no_tasks_id(codec: Codec) -> None:
    context = task_id("context")
    record = Stored(as_json(input="x", context_id=context), context.encode())
    assert task(codec, record).id == unnamed(record)


def test_a_runtimes_topic_names_the_runtime(codec: Codec) -> None:
    assert task(codec, Stored(topic=f"{COMMANDS}.rules")).runtime == "rules"
    assert task(codec, Stored(as_json(input="x", runtime="crewai"))).runtime == "crewai"


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        (COMMANDS, {"input": "x", "agent": "somebody-else"}),
        (f"{COMMANDS}.rules", {"input": "x", "runtime": "crewai"}),
    ],
)
def test_a_body_may_not_contradict_its_topic(
    codec: Codec, topic: str, body: dict[str, str]
) -> None:
    said = refusal(codec, Stored(as_json(**body), topic=topic))
    assert "names another than the topic" in said.detail
    assert said.agent == ANALYST


def test_the_time_is_that_of_the_event_else_of_the_record(codec: Codec) -> None:
    def at(time: bytes, timestamp: int = Stored.timestamp) -> datetime:
        record = Stored(headers=(("ce_time", time),), timestamp=timestamp)
        return task(codec, record).submitted_at

    assert at(b"2026-02-03T04:05:06.789123456+01:00") == datetime(
        2026, 2, 3, 3, 5, 6, 789_000, tzinfo=UTC
    )
    for broken in (b"yesterday", b"", b"\xff", b"0001-01-01T00:00:00+23:00"):
        assert at(broken) == WRITTEN
    for impossible in (-1, 2**63 - 1, -(2**63)):
        assert at(b"", impossible).year <= 9999


def test_unknown_fields_are_kept(codec: Codec) -> None:
    asked = task(codec, Stored(as_json(input="x", colour="red")))
    assert asked.model_extra == {"colour": "red"}


@pytest.mark.parametrize(
    ("topic", "body", "priority"),
    [
        (COMMANDS, {}, Priority.NORMAL),
        (COMMANDS, {"priority": "critical"}, Priority.CRITICAL),
        (URGENT, {}, Priority.HIGH),
        (URGENT, {"priority": "critical"}, Priority.CRITICAL),
        (URGENT, {"priority": "low"}, Priority.LOW),
    ],
)
def test_what_stands_on_an_urgent_topic_is_in_a_hurry_unless_it_says_otherwise(
    codec: Codec, topic: str, body: dict[str, str], priority: Priority
) -> None:
    assert task(codec, Stored(as_json(input="x", **body), topic=topic)).priority is priority


def test_a_priority_that_is_none_is_refused(codec: Codec) -> None:
    for wrong in ("urgent", 1, None):
        assert "priority" in refusal(codec, Stored(as_json(input="x", priority=wrong))).detail


def test_64_levels_are_read_and_can_be_written_again(codec: Codec) -> None:
    asked = task(codec, Stored(b'{"input": {"a": ' + b"[" * 62 + b"]" * 62 + b"}}"))
    assert task(codec, Stored(encode(asked).value)) == asked


# --- CloudEvents


def test_structured_mode_is_read(codec: Codec) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/shop",
        "type": "crewline.task.submit.v1",
        "subject": task_id("s"),
        "time": "2026-02-03T04:05:06Z",
        "traceparent": TRACEPARENT,
        "data": {"input": "x"},
    }
    asked = task(codec, Stored(as_json(**event), headers=(STRUCTURED,)))
    assert (asked.id, asked.input, asked.traceparent) == (task_id("s"), "x", TRACEPARENT)
    assert asked.submitted_at == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    del event["data"]
    event["data_base64"] = "eyJpbnB1dCI6ICJ5In0="
    assert task(codec, Stored(as_json(**event), headers=(STRUCTURED,))).input == "y"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "crewline.task.submit.v1"},
        {"type": "crewline.task.submit.v1", "data": "text"},
        {"type": "crewline.task.submit.v1", "data_base64": "!"},
        {"type": "crewline.task.submit.v1", "data_base64": "AAAA"},
        {"type": 5, "data": {"input": "x"}},
        {"data": {"input": "x"}},
        {},
    ],
)
def test_a_broken_structured_event_is_refused(codec: Codec, event: dict[str, object]) -> None:
    record = Stored(as_json(**event), headers=(STRUCTURED,))
    assert refusal(codec, record).task_id == unnamed(record)


def test_of_a_repeated_header_the_last_counts(codec: Codec) -> None:
    headers = (("ce_type", b"nonsense"), ("ce_type", SUBMIT))
    assert task(codec, Stored(headers=headers)).id == unnamed(Stored())


def test_a_null_header_is_none(codec: Codec) -> None:
    empty = Stored(headers=(("ce_type", None), ("traceparent", None)))
    assert task(codec, empty).id == unnamed(empty)


@pytest.mark.parametrize(
    "broken",
    [
        b"\xff\xfe",
        b"",
        b"00-abc",
        TRACEPARENT.upper().encode(),
        b"ff" + TRACEPARENT[2:].encode(),
        b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
    ],
)
def test_a_broken_trace_context_is_ignored(codec: Codec, broken: bytes) -> None:
    record = Stored(as_json(input="x", traceparent=7), headers=(("traceparent", broken),))
    assert task(codec, record).traceparent is None


# --- what cannot be read

UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "not UTF-8": b'{"input": "\xff"}',
    "a lone surrogate": b'{"input": "\\ud800"}',
    "not JSON": b"hello",
    "half": b'{"input": "x',
    "two": b'{"input": "x"}{"input": "x"}',
    "text": b'"hello"',
    "a list": b'[{"input": "x"}]',
    "null": b"null",
    "nothing asked": b"{}",
    "wrong type": b'{"input": 5}',
    "not a number": b'{"input": {"a": NaN}}',
    "infinity": b'{"input": {"a": [-Infinity]}}',
    "1e999": b'{"input": {"a": [{"b": 1e999}]}}',
    "digits": b'{"input": {"a": ' + b"9" * 5_000 + b"}}",
    "decimal digits": b'{"input": {"a": ' + b"9" * 400 + b".5}}",
    "a bomb": b'{"input": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "65 levels": b'{"input": {"a": ' + b"[" * 63 + b"]" * 63 + b"}}",
    "an object bomb": b'{"input":' * 100_000,
    "an id that is none": b'{"input": "x", "id": "7"}',
    "an id of a wrong type": b'{"input": "x", "id": {"a": 1}}',
    "an agent of a wrong type": b'{"input": "x", "agent": ["a"]}',
    "a time out of range": b'{"input": "x", "expires_at": "0001-01-01T00:00:00+23:00"}',
    "a byte order mark": b'\xef\xbb\xbf{"input": "x"}',
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_says_why_and_whose_it_is(codec: Codec, value: bytes) -> None:
    said = refusal(codec, Stored(value))
    assert said.detail
    assert len(said.detail) <= 600
    assert (said.task_id, said.agent) == (unnamed(Stored(value)), ANALYST)


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE)
def test_events_that_cannot_be_read_say_why_too(codec: Codec, value: bytes) -> None:
    record = Stored(value, topic="crewline.results", headers=(("ce_type", SUBMIT),))
    assert isinstance(codec.event(record), Undecodable)


@pytest.mark.parametrize(
    "kind", [b"crewline.task.submit.v2", b"crewline.task.completed.v1", b"\xff"]
)
def test_a_command_topic_takes_only_commands(codec: Codec, kind: bytes) -> None:
    assert "type" in refusal(codec, Stored(headers=(("ce_type", kind),))).detail


def test_an_event_needs_its_type(codec: Codec) -> None:
    _, value, _ = encode(completed())
    assert isinstance(codec.event(Stored(value, topic="crewline.results")), Undecodable)


def test_a_refusal_quotes_nothing_of_the_body(codec: Codec) -> None:
    said = refusal(codec, Stored(as_json(input="x", timeout_seconds="secret", model="secret")))
    assert "timeout_seconds" in said.detail
    assert "secret" not in said.detail


@pytest.mark.parametrize(
    ("field", "value"),
    [("timeout_seconds", "5"), ("timeout_seconds", True), ("not_before", 5), ("expires_at", "5")],
)
def test_what_only_looks_like_a_number_or_a_time_is_refused(
    codec: Codec, field: str, value: object
) -> None:
    said = refusal(codec, Stored(as_json(input="x", **{field: value})))
    assert said.detail.startswith(f"{field}: ")


def test_a_refused_task_keeps_the_id_it_had(codec: Codec) -> None:
    assert refusal(codec, Stored(as_json(id=task_id("b")))).task_id == task_id("b")
    assert refusal(codec, Stored(b"", key=task_id("k").encode())).task_id == task_id("k")
    subject = (("ce_subject", task_id("s").encode()),)
    assert refusal(codec, Stored(b"", headers=subject)).task_id == task_id("s")


def test_a_null_value_asks_for_nothing(codec: Codec) -> None:
    assert codec.command(Stored(None)) is None
    assert codec.any(Stored(None, topic="crewline.results")) is None


@given(
    value=st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda tree: json.dumps({"input": tree, "parameters": tree}).encode()),
    key=st.none() | st.binary(),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["ce_type", "ce_time", "ce_subject", "content-type", "traceparent"]),
            st.none()
            | st.binary()
            | st.sampled_from([SUBMIT, STRUCTURED[1], b"crewline.trace.token.v1"]),
        )
    ),
    topic=st.sampled_from([COMMANDS, f"{COMMANDS}.rules", "crewline.results", "other"]),
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_nothing_makes_it_raise(  # every byte of a record may have been written by anybody
    codec: Codec,
    value: bytes,
    key: bytes | None,
    headers: list[tuple[str, bytes | None]],
    topic: str,
    timestamp: int,
) -> None:
    record = Stored(value, key, tuple(headers), topic=topic, timestamp=timestamp)
    for decoded in (codec.command(record), codec.event(record), codec.any(record)):
        assert isinstance(decoded, Message | Undecodable)
    assert origin_of(record).value == value


# --- topics


def test_a_command_topic_names_its_agent_and_runtime() -> None:
    topics = Topics("acme.crew")
    for agent, runtime in ((ANALYST, None), ("a_b-1", "crewai")):
        ordinary, urgent = topics.commands(agent, runtime), topics.urgent(agent, runtime)
        assert topics.read_command_topic(ordinary) == (agent, runtime, False)
        assert topics.read_command_topic(urgent) == (agent, runtime, True)
    for other in (topics.results, "acme.crew.commands.", "acmeXcrew.commands.a", "x" + COMMANDS):
        assert topics.read_command_topic(other) is None


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({}, "commands"),
        ({"priority": Priority.LOW}, "commands"),
        ({"priority": Priority.HIGH}, "urgent"),
        ({"priority": Priority.CRITICAL, "runtime": "rules"}, "urgent"),
        ({"priority": Priority.CRITICAL, "context_id": "c"}, "commands"),
    ],
)
async def test_urgent_tasks_have_a_topic_of_their_own_unless_their_order_counts(
    asked: dict[str, Any], place: str
) -> None:
    command = submitted(**asked)
    topic = Topics("acme").of(command)
    assert topic.startswith(f"acme.{place}.{ANALYST}")
    memory = MemoryEventLog("acme")
    await memory.publish(command)
    assert [shard.topic for shard in memory.ends()] == [topic]


def test_a_prefix_that_no_topic_may_have_is_refused() -> None:
    for prefix in ("", "a b", "-a", "ä", "a" * 101):
        with pytest.raises(ValueError, match="cannot begin"):
            Topics(prefix)
