"""Reads records whatever the names of their headers are.

Kafka wants names in UTF-8, but some producers send anything. aiokafka then raises for the whole
partition, again and again: one such record would stop every reader for ever. So what follows in
the same answer of a broker is then read by the library's parser in Python, which is slow and can
be told to show foreign bytes as `\\xNN`.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy


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

    def _unpack_records(self) -> Iterator[Any]:
        try:
            yield from super()._unpack_records()
        except (UnicodeDecodeError, CorruptRecordException) as error:
            if not isinstance(error.__cause__ or error, UnicodeDecodeError):
                raise
            self._records = _Rest(self._records.content, self.next_fetch_offset)
            yield from super()._unpack_records()


class _Rest:
    """The batches of an answer that go beyond an offset."""

    def __init__(self, content: bytes, offset: int) -> None:
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
