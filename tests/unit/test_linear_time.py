"""Every reader of texts and bytes from outside takes time that grows no faster than they do.

Each is given texts of one, two and four times a length, made of what its patterns look for, again
and again, with and without an ending that fits nothing. Over HTTP the gateway's tests do the same.
"""

import asyncio
import base64
import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from app.adapters.crewai.answers import DoesNotFit, mending, read
from app.adapters.crewai.braces import bare, shielded
from app.adapters.crewai.templates import render
from app.adapters.kafka.codec import Codec
from app.adapters.kafka.topics import Topics
from app.adapters.local.catalog import compile_schema
from app.adapters.local.yaml_text import read_yaml
from app.adapters.rules.brief import read_brief
from app.adapters.rules.identifiers import class_name, field_name, package_name
from app.adapters.rules.procedures import PROCEDURES
from app.adapters.rules.templates import Templates, cell, line
from app.adapters.rules.text_facts import text_facts
from app.domain.model.errors import RunFailed
from app.domain.model.events import Result
from app.domain.model.ids import as_task_id
from app.domain.model.messages import trace_id_of
from app.domain.model.readable import as_text, outcome_of, words
from app.domain.model.redaction import learn_secrets, mask_secrets
from app.entrypoints.cli.artifacts import safe_path
from app.entrypoints.cli.events import event_line
from app.entrypoints.cli.following import TaskEvent
from app.entrypoints.log_redaction import redact
from app.entrypoints.terminal import printable, printable_json
from tests.contracts.agent_runtime import task

Reader = Callable[[str], object]

SECRETS = [
    "a.", "a:", "://", "://a:", "a://b:c@", "@", "bearer ", "bearer", "basic  ", "sk-", "eyJ",
    "-eyJaaaaaaaa.", "eyJaaaaaaaa.a.", "ghp_", "password", "password=", "password: ",
    "\"token\": \"", "api_key", "_token ", "secret:   ",
]  # fmt: skip
PROSE = [
    "$1 ", "no ", "never ", "must not ", "must not be stored ", "without online own ", "kein ",
    "darf x ", "1 ", "1.", "1,000,", "1.000.", "one-", "one-one and ", "a one ",
    "10 users a day, ", "1 a-", "a-", "a'", "1&", "\n", " ", "\t", "- x\n", "# x\n", "**",
    "**a** \n", "__ ", "e.g. ", "x. X", ".\"')", "open questions\n- a\n", "must not\n- a\n",
    "a book has title, author. ", "a book has x ", "each x ", "manage all ", "list of ",
    "list of x with ", "manage x with y ", "borrow the ", "tool library ", "x library ",
    "dog owners ", "users ", "GDPR ", "WCAG 2.1 ", "2026-01-01 ", "January 2026 ", "Q1 ",
    "end of ", "half a ", "within a ", "€5-", "10% ", "99.9% availability ", "we ", "please, ",
    "and ", "x, y and ", "- ", "é", "東", "_", "(", "of the ", "of a ", "is not needed ",
    "an x of a thing contains b ",
]  # fmt: skip
SIGNS = [
    "\x1b[", "\x9b", "\u202e", "\u2028", "\ud800", "\\", "\\\"", "../", "/", " ", "\n", "{", "[",
    "{}", "```", "```\n", "```json\n", "\n\n", "{input}", "{tools", "{\u2060", "[1],", "{\"a\":",
    "\"", "- ", "a: ", "- - ", "? ", "&a ", "*a ", "'", "|\n", "# ", "%", "!", "a-", "|", "<",
    "00-",
]  # fmt: skip


def _json_of(text: str) -> bytes:
    return json.dumps({"input": text, "parameters": {"a": text}, "labels": {"b": text}}).encode()


def _record(value: bytes, headers: list[tuple[str, bytes]] | None = None, key: bytes = b"") -> Any:
    return SimpleNamespace(
        topic="crewline.commands.analyst", partition=0, offset=1, timestamp=1, key=key, value=value,
        headers=headers or [],
    )  # fmt: skip


_codec = Codec(Topics("crewline"))
_names = ("ce_type", "ce_subject", "ce_time", "traceparent", "content-type", "crewline-attempts")


def _headers(text: str) -> object:
    value = as_text(text).encode()
    headers = [(name, value) for name in _names] + [(as_text(text), value)] * 3
    return _codec.command(_record(b'{"input": "x"}', headers, key=value))


def _structured(text: str) -> object:
    data = base64.b64encode(_json_of(text)).decode()
    event = {"type": text[:50], "subject": text, "time": text, "data_base64": data}
    headers = [("content-type", b"application/cloudevents+json")]
    return _codec.command(_record(json.dumps(event).encode(), headers))


def _yaml(text: str) -> None:
    with suppress(yaml.YAMLError, RecursionError):
        read_yaml(as_text(text))


def _answer(text: str) -> None:
    with suppress(DoesNotFit):
        asyncio.run(read(text, _fits_nothing))


_fits_nothing = compile_schema({"type": "object", "required": ["nobody says this"]})


def _rendered(text: str) -> None:
    with suppress(RunFailed):
        render("{{ text | upper }} {{ input }} {% for x in parameters.a %}{{ x }}{% endfor %}",
               task(text, a=text[:2_000]))  # fmt: skip


def _document(text: str) -> str:
    values = {"text": text, "input": text, "parameters": {"a": [text]}}
    template = "{{ text | line }} | {{ parameters.a[0] | cell }} {{ input }}"
    return Templates().render(template, values, threading.Event())


def _result(text: str) -> None:
    async def made() -> Result:
        return Result(output=text)

    with suppress(RunFailed):
        asyncio.run(outcome_of(made()))


def _lines_of_a_log(text: str) -> object:
    return redact(None, "", {"event": text, "list": [text], "map": {"a": text}, text: 1})


READERS: dict[str, tuple[Reader, list[str]]] = {
    "masking secrets": (mask_secrets, SECRETS),
    "a line of a log": (_lines_of_a_log, SECRETS),
    "facts of a text": (text_facts, PROSE),
    "a brief": (read_brief, PROSE),
    **{
        f"the {name}": (lambda text, work=work: work(text, {"title": text}), PROSE)  # type: ignore[misc]
        for name, work in PROCEDURES.items()
    },
    "names": (lambda text: (field_name(text), class_name(text), package_name(text, "x")), PROSE),
    "a document's filters": (lambda text: (cell(text), line(text)), SIGNS),
    "a document": (_document, SIGNS),
    "a crew's template": (_rendered, SIGNS),
    "a record's value": (lambda text: _codec.command(_record(_json_of(text))), SIGNS),
    "a record of no JSON": (lambda text: _codec.command(_record(as_text(text).encode())), SIGNS),
    "a record's headers": (_headers, SIGNS),
    "an event in structured mode": (_structured, SIGNS),
    "YAML": (_yaml, SIGNS),
    "a crew's answer": (_answer, SIGNS),
    "a question to mend an answer": (lambda text: mending(text, {}, text), SIGNS),
    "braces": (lambda text: bare(shielded(text)), SIGNS),
    "a result": (_result, SIGNS),
    "an exception's words": (lambda text: words(ValueError(text)), SIGNS),
    "a text for people": (printable, SIGNS),
    "JSON for people": (lambda text: printable_json(json.dumps(text, ensure_ascii=False)), SIGNS),
    "an artifact's name": (safe_path, SIGNS),
    "an event for people": (
        lambda text: event_line(TaskEvent("1.1", "task.progressed.v1", {"message": text})), SIGNS),
    "an id": (lambda text: (as_task_id(text), trace_id_of(text)), SIGNS),
}  # fmt: skip

LENGTH = 8_000
"""Characters of the shortest text. A reader that looks at pairs of them takes a second for four
times as many."""
SHORT = 1_000
"""Of those that look for hundreds of words."""
NEGLIGIBLE = 0.02
"""Seconds for the longest text, below which it does not matter how they grow."""
MOST = 8
"""Times as long for four times as much; a busy machine is not that unfair three times in a row."""


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> Iterator[None]:
    """Have the collector pass over what was made before: it is called for each text."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _seconds(reader: Reader, text: str) -> float:
    gc.collect()
    gc.disable()  # when it has its turn depends on all that was made before
    try:
        began = time.thread_time()
        reader(text)
        return time.thread_time() - began
    finally:
        gc.enable()


def _growth(reader: Reader, make: Callable[[int], str], length: int) -> float:
    """How many times as long four times as much takes, or twice as much, doubled; best of three."""
    best = float("inf")
    for _ in range(3):
        longest = _seconds(reader, make(4 * length))
        if longest < NEGLIGIBLE:
            return 0
        twice, once = _seconds(reader, make(2 * length)), _seconds(reader, make(length))
        slower = max(longest / max(once, NEGLIGIBLE / MOST), 2 * longest / max(twice, NEGLIGIBLE))
        best = min(best, slower)
        if best <= MOST:
            break
    return best


def _texts(seed: str) -> Iterator[Callable[[int], str]]:
    def repeated(length: int) -> str:
        return (seed * (length // len(seed) + 1))[:length]

    yield repeated
    yield lambda length: f"a {repeated(length)}\x00"
    yield lambda length: f"x{seed}" + seed[-1] * length + "x"  # the end of it alone


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", READERS)
def test_four_times_as_much_takes_about_four_times_as_long(name: str) -> None:
    reader, seeds = READERS[name]
    length = SHORT if seeds is PROSE else LENGTH
    learn_secrets(["a secret of this process"])
    reader("a library for 10 users")  # what is read once, is read
    slow = {
        (seed, form): round(growth, 1)
        for seed in seeds
        for form, make in enumerate(_texts(seed))
        if (growth := _growth(reader, make, length)) > MOST
    }
    assert not slow


def test_a_reader_that_looks_at_pairs_is_found() -> None:
    def pairs(text: str) -> None:
        for _ in text:
            sum(1 for _ in text)

    assert _growth(pairs, lambda length: "a" * length, 500) > MOST
