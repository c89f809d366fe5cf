"""What producers compressed is unpacked as far as it may be; what goes beyond is told of."""

import tracemalloc

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from app.adapters.kafka import inflating
from app.adapters.kafka.codec import Codec, origin_of
from app.adapters.kafka.connection import KafkaConnection
from app.adapters.kafka.inflating import Oversized, Uninflatable
from app.adapters.kafka.topics import Topics
from app.ports.task_queue import Undecodable
from tests.unit.test_header_names import Foreign, Record

GZIP, SNAPPY, LZ4, ZSTD = CODECS = 1, 2, 3, 4
LARGEST = 16_000_000


@pytest.fixture(autouse=True)
def _ours() -> None:
    KafkaConnection("127.0.0.1:1")


def batch(first: int, values: list[bytes], compression: int, name: str = "x") -> bytes:
    builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, -1, 10**9)
    for number, value in enumerate(values):
        builder.append(number, 1_000, b"key", value, [(name, b"")])
    content = builder.build()
    content[:8] = first.to_bytes(8)
    return bytes(content)


def read(content: bytes, at: int = 0) -> list[Record]:
    answer = fetcher.MemoryRecords(content)
    where = TopicPartition("crewline.commands.writer", 2)
    return list(fetcher.PartitionRecords(where, answer, None, at, None, None, True, 0))


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize("name", ["x", Foreign("\u00e9")], ids=["plain", "foreign"])
def test_a_batch_that_unpacks_too_far_is_one_record_that_cannot_be_read(
    compression: int, name: str
) -> None:
    bomb = batch(3, [b"x" * 6_000_000] * 3, compression)
    content = batch(0, [b"a", b"b", b"c"], compression, name) + bomb + batch(6, [b"d"], compression)
    tracemalloc.start()
    records = read(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [(each.offset, each.value) for each in records] == [
        (0, b"a"),
        (1, b"b"),
        (2, b"c"),
        (5, b""),
        (6, b"d"),
    ]
    assert peak < 3 * LARGEST
    message = Codec(Topics()).command(records[3])
    assert isinstance(message, Undecodable)
    assert "crewline.commands.writer/2@3 to 5" in message.detail
    assert "16000000 bytes" in message.detail
    assert origin_of(records[3]).value is None
    assert [each.offset for each in read(content, at=5)] == [5, 6]


@pytest.mark.parametrize("compression", [0, *CODECS])
def test_a_value_that_is_too_large_to_be_read_is_named(compression: int) -> None:
    small, large, huge = b"x" * 10, b"x" * 4_000_000, b"x" * 4_000_001
    records = read(batch(0, [small, large, huge, small], compression))
    assert [each.value for each in records] == [small, large, b"", small]
    assert records[2].key == b"key"
    for reader in (Codec(Topics()).command, Codec(Topics()).event):
        message = reader(records[2])
        assert isinstance(message, Undecodable)
        assert "4000001 bytes" in message.detail


@pytest.mark.parametrize("compression", CODECS)
def test_what_is_no_such_compression_is_passed_over(compression: int) -> None:
    broken = bytearray(batch(1, [b"x" * 1_000], compression))
    broken[61:] = b"\x01" * (len(broken) - 61)
    content = bytes(broken)
    answer = fetcher.MemoryRecords(batch(0, [b"a"], compression) + content)
    where = TopicPartition("t", 0)
    records = list(fetcher.PartitionRecords(where, answer, None, 0, None, None, False, 0))
    assert [each.offset for each in records] == [0, 1]
    assert isinstance(records[1].value, Oversized)
    assert "t/0@1" in records[1].value.detail


def test_whatever_is_within_the_limit_is_unpacked() -> None:
    text = bytes(range(256)) * 3_000
    assert inflating._gzip(gzip_encode(text)) == text
    assert inflating._gzip(gzip_encode(text) + gzip_encode(b"more")) == text + b"more"
    assert inflating._snappy(snappy_encode(text)) == text
    assert inflating._snappy(snappy_encode(text, xerial_compatible=False)) == text
    assert inflating._lz4(lz4_encode(text)) == text
    assert inflating._zstd(zstd_encode(text)) == text
    assert inflating._zstd(cramjam.zstd.compress(b"")) == b""
    for cut in (gzip_encode(text)[:-9], b"\x1f\x8b"):
        with pytest.raises(Uninflatable):
            inflating._gzip(cut)
