"""Unpacks what producers compressed, but no further than its reader can bear.

A few kilobytes of zstd unpack to a hundred megabytes, and as objects to many times that. aiokafka
unpacks whatever it is given; here a batch has a limit, and a record in it one of its own. What
goes beyond stands in for itself as `Oversized`, so that its offset is dealt with like any other.
"""

import mmap
import zlib
from collections.abc import Callable
from typing import Any

import aiokafka.record.default_records
import aiokafka.record.legacy_records
import cramjam

_RECORD, _BATCH = 4, 16
"""How many times our largest message a record and a batch of many may take when unpacked."""
_BLOCKED = b"\x82SNAPPY\x00"
_BLOCKED_HEAD = 16
_most = {"record": _RECORD * 1_000_000, "batch": _BATCH * 1_000_000}


class Oversized(bytes):
    """Stands for a value that was not unpacked, or that nobody should read; it is empty."""

    detail: str
    """Why, and which records it stands for."""

    @classmethod
    def because(cls, detail: str) -> "Oversized":
        value = cls()
        value.detail = detail
        return value


class Uninflatable(Exception):
    """A batch cannot be unpacked, or not within the limit."""


def inflate_no_further(max_message_bytes: int) -> None:
    """Have every consumer of this process keep to the limits; the largest one asked for counts."""
    _most["record"] = max(_most["record"], _RECORD * max_message_bytes)
    _most["batch"] = max(_most["batch"], _BATCH * max_message_bytes)
    ours = {
        "gzip_decode": _gzip,
        "snappy_decode": _snappy,
        "lz4_decode": _lz4,
        "zstd_decode": _zstd,
    }
    for module in _modules():
        for name in ours.keys() & vars(module).keys():
            setattr(module, name, ours[name])


def bearable(value: bytes | None) -> bytes | None:
    """The value, or what stands for one that is too large to be read."""
    if value is None or len(value) <= _most["record"]:
        return value
    return Oversized.because(
        f"the value takes {len(value)} bytes unpacked, and no more than {_most['record']} are read"
    )


def _modules() -> list[Any]:
    """Where aiokafka looks the names up: in its parsers in Python, and in the compiled ones."""
    found: list[Any] = [aiokafka.record.default_records, aiokafka.record.legacy_records]
    try:
        from aiokafka.record._crecords import default_records, legacy_records  # noqa: PLC0415
    except ImportError:  # a platform without them
        return found
    return [*found, default_records, legacy_records]


def _gzip(payload: Any) -> bytes:
    rest, unpacked, size = bytes(payload), [], 0
    while rest:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(rest, _most["batch"] + 1 - size)
        except zlib.error as error:
            raise Uninflatable(f"it is no gzip: {error}") from error
        size += len(part)
        _allow(size)
        if not member.eof:
            raise Uninflatable("its gzip is cut off")
        unpacked.append(part)
        rest = member.unused_data
    return b"".join(unpacked)


def _snappy(payload: Any) -> bytes:
    data = bytes(payload)
    blocks = [data]
    if data.startswith(_BLOCKED) and len(data) > _BLOCKED_HEAD:
        blocks, at = [], _BLOCKED_HEAD
        while at < len(data):
            length = int.from_bytes(data[at : at + 4], "big")
            blocks.append(data[at + 4 : at + 4 + length])
            at += 4 + length
    try:
        _allow(sum(cramjam.snappy.decompress_raw_len(block) for block in blocks))
        return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)
    except cramjam.DecompressionError as error:
        raise Uninflatable(f"it is no snappy: {error}") from error


def _lz4(payload: Any) -> bytes:
    return _into_room(cramjam.lz4.decompress_into, payload, "lz4")


def _zstd(payload: Any) -> bytes:
    return _into_room(cramjam.zstd.decompress_into, payload, "zstd")


def _into_room(inflate: Callable[[bytes, Any], int], payload: Any, kind: str) -> bytes:
    """Memory is taken only as far as it is written to."""
    with mmap.mmap(-1, _most["batch"]) as room:
        try:
            size = inflate(bytes(payload), room)
        except cramjam.DecompressionError as error:
            if "whole buffer" in str(error):
                _allow(_most["batch"] + 1)
            raise Uninflatable(f"it is no {kind}: {error}") from error
        return room[:size]


def _allow(size: int) -> None:
    if size > _most["batch"]:
        raise Uninflatable(f"it takes more than {_most['batch']} bytes unpacked")
