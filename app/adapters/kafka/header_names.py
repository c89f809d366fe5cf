"""Reads records whatever the names of their headers are, and however far they unpack.

Kafka wants names in UTF-8, but some producers send anything. aiokafka then raises for the whole
partition, again and again: one such record would stop every reader for ever. So what follows in
the same answer of a broker is then read by the library's parser in Python, which is slow and can
be told to show foreign bytes as `\\xNN`.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

from app.adapters.kafka.inflating import Oversized, Uninflatable, bearable


def read_any_header_name() -> None:
    """Have every consumer of this process do so; twice does no harm."""
    fetcher.MemoryRecords = _Answer
    fetcher.PartitionRecords = _PartitionRecords


class _Answer(MemoryRecords):  # type: ignore[misc]  # final for others
    """Remembers what it was made of."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.content = content


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    _records: Any
    _tp: TopicPartition
    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        while True:
            try:
                yield from super()._unpack_records()
            except (UnicodeDecodeError, CorruptRecordException) as error:
                if not isinstance(error.__cause__ or error, UnicodeDecodeError):
                    raise
                self._records = _Rest(self._records.content, self.next_fetch_offset)
            except Uninflatable as error:
                self._records = _Rest(self._records.content, self.next_fetch_offset)
                batch = self._records.next_batch()
                yield self._in_place_of(batch, str(error))
                self.next_fetch_offset = batch.next_offset
            else:
                return

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:
        found = super()._consumer_record(tp, record)
        value = bearable(found.value)
        return found if value is found.value else replace(found, value=value)

    def _in_place_of(self, batch: Any, why: str) -> "ConsumerRecord[bytes, bytes]":
        """One record for all of a batch that is not unpacked, at the offset of its last."""
        # batches in the format of brokers before 0.11 say less of themselves
        first = max(getattr(batch, "base_offset", 0), self.next_fetch_offset)
        last = batch.next_offset - 1
        which = f"{self._tp.topic}/{self._tp.partition}@{first}"
        which = f"{which} to {last}" if last > first else which
        value = Oversized.because(f"the batch of {which} is not unpacked: {why}")
        return ConsumerRecord(
            topic=self._tp.topic,
            partition=self._tp.partition,
            offset=last,
            timestamp=getattr(batch, "max_timestamp", None) or -1,
            timestamp_type=getattr(batch, "timestamp_type", 0),
            key=None,
            value=value,
            checksum=None,
            serialized_key_size=-1,
            serialized_value_size=0,
            headers=(),
        )


class _Rest:
    """The batches of an answer that go beyond an offset."""

    def __init__(self, content: bytes, offset: int) -> None:
        self.content = content
        self._batches = [each for each in _batches(content) if each.next_offset > offset]

    def has_next(self) -> bool:
        return bool(self._batches)

    def next_batch(self) -> Any:
        return self._batches.pop(0)


def _batches(content: bytes) -> Iterator[Any]:
    records = _MemoryRecordsPy(content)
    while (part := records._next_slice) is not None:  # noqa: SLF001
        batch = records.next_batch()
        yield _Batch(part) if isinstance(batch, DefaultRecordBatch) else batch


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]  # final for others
    _buffer: Any

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Text(self._buffer)


class _Text(bytearray):
    """Bytes of which every part can be decoded."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Text(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)
