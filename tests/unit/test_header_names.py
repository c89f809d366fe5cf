"""Every record is read, whatever its headers are called and however it is packed."""

from typing import TypeAlias

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from app.adapters.kafka.header_names import read_any_header_name

Record: TypeAlias = ConsumerRecord[bytes, bytes]
NONE, GZIP, LZ4, ZSTD = 0, 1, 3, 4


class Foreign(str):
    """A name in ISO 8859-1."""

    def encode(self, *_: object) -> bytes:
        return super().encode("latin-1")


def batch(first: int, names: list[str], compression: int = NONE) -> bytes:
    """What a broker keeps of one producer's batch: a record for each name of a header."""
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 100_000)
    for number, name in enumerate(names):
        headers = [(name, str(number).encode())]
        builder.append(number, 1_000, b"key", b"value" * 50, headers)
    content = builder.build()
    content[:8] = first.to_bytes(8)
    return bytes(content)


def read(content: bytes, at: int = 0) -> list[Record]:
    read_any_header_name()
    answer = fetcher.MemoryRecords(content)
    where = TopicPartition("topic", 0)
    return list(fetcher.PartitionRecords(where, answer, None, at, None, None, True, 0))


def told(records: list[Record]) -> list[tuple[int, str]]:
    return [(record.offset, record.headers[0][0]) for record in records]


@pytest.mark.parametrize("compression", [NONE, GZIP, LZ4, ZSTD])
def test_foreign_bytes_in_a_name_are_shown(compression: int) -> None:
    foreign = batch(0, ["good", Foreign("caf\u00e9"), "good", Foreign("\u00fc")], compression)
    records = read(foreign + batch(4, ["later"], compression) + batch(5, [Foreign("\u00e9")]))
    names = ["good", r"caf\xe9", "good", r"\xfc", "later", r"\xe9"]
    assert told(records) == list(enumerate(names))
    assert {record.value for record in records} == {b"value" * 50}
    assert [record.headers[0][1] for record in records] == [b"0", b"1", b"2", b"3", b"0", b"0"]


def test_reading_begins_where_it_was_asked_to() -> None:
    content = batch(0, ["a", Foreign("\u00e9")]) + batch(2, ["c", Foreign("\u00fc"), "e"])
    assert told(read(content, at=3)) == [(3, r"\xfc"), (4, "e")]


def test_text_in_utf_8_stays_as_it_is() -> None:
    records = read(batch(0, ["\u00fcber", Foreign("\u00fc"), "\u00fcber"]))
    assert [name for _, name in told(records)] == ["\u00fcber", r"\xfc", "\u00fcber"]
