"""What was ever written to a topic stays readable, with the same meaning.

The samples are frozen: when a change here makes one fail, the change is wrong, not the sample.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from app.adapters.kafka.codec import Codec
from app.adapters.kafka.topics import Topics
from app.domain.model.messages import Message
from app.domain.model.vocabulary import MESSAGES
from tests.unit.test_codec import Stored

FOLDER = Path(__file__).parents[1] / "samples"
SAMPLES = sorted(FOLDER.glob("*/*.json"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_old_message_reads_the_same(path: Path) -> None:
    sample = json.loads(path.read_text(encoding="utf-8"))
    record = Stored(
        value=json.dumps(sample["value"]).encode(),
        key=sample["key"].encode() if sample["key"] else None,
        headers=tuple((name, text.encode()) for name, text in sample["headers"].items()),
        topic=sample["topic"],
        partition=sample["partition"],
        offset=sample["offset"],
        timestamp=sample["timestamp"],
    )
    message = Codec(Topics()).any(record)
    assert isinstance(message, Message), message
    assert path.parent.name == message.TYPE
    read = message.model_dump(mode="json", by_alias=True) | {"traceparent": message.traceparent}
    assert within(sample["message"], read) == ""


def test_every_type_has_samples() -> None:
    assert {path.parent.name for path in SAMPLES} == MESSAGES.keys()


@pytest.mark.parametrize(
    ("old", "read", "where"),
    [
        ({"a": 1}, {"a": 1, "new": 2}, ""),
        ({"a": 1}, {"a": 2}, "/a"),
        ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": 1, "new": 0}]}}, ""),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, "/a/b"),
        ({"a": None}, {}, "/a"),
        ({"a": 1}, {"a": True}, "/a"),
    ],
)
def test_a_difference_is_found(old: object, read: object, where: str) -> None:
    assert within(old, read) == where


def within(old: Any, read: Any, where: str = "") -> str:
    """Where the first old value is missing or different; new fields beside it are fine."""
    if isinstance(old, dict) and isinstance(read, dict):
        places = (
            within(value, read[key], f"{where}/{key}") if key in read else f"{where}/{key}"
            for key, value in old.items()
        )
        return next(filter(None, places), "")
    if isinstance(old, list) and isinstance(read, list) and len(old) == len(read):
        pairs = enumerate(zip(old, read, strict=True))
        return next(filter(None, (within(a, b, f"{where}/{i}") for i, (a, b) in pairs)), "")
    return "" if type(old) is type(read) and old == read else where
