"""Messages between a worker and its child processes: JSON, with its length before it."""

import asyncio
import json
import socket
import struct
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from app.domain.model.readable import as_text

Frame = dict[str, Any]

_LENGTH = struct.Struct("!I")


_LARGEST = 8_000_000
"""Bytes, or twice what a result may have where that is more."""


class FrameTooLarge(Exception):
    """The other side would have to hold it all, and many times that as objects."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"{size:,} bytes at once, and no more than {most:,} may be")


def largest(max_result_bytes: int | None) -> int:
    """The most bytes that a child may send at once."""
    return max(_LARGEST, 2 * (max_result_bytes or 0))


def packed(frame: Frame, most: int | None = None) -> bytes:
    """The message as it is sent; raise `FrameTooLarge` where it has more than `most` bytes."""
    try:
        body = to_json(frame)
    except PydanticSerializationError:  # half a character in some text
        body = as_text(json.dumps(frame, ensure_ascii=False)).encode()
    if most is not None and len(body) > most:
        raise FrameTooLarge(len(body), most)
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader, most: int = _LARGEST) -> Frame | None:
    """The next message; None when the other side is gone.

    Raise `FrameTooLarge` for one of more than `most` bytes, of which nothing is read.
    """
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > most:
            raise FrameTooLarge(length, most)
        frame: Frame = from_json(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return frame


def receive_frame(sock: socket.socket) -> Frame | None:
    """The same, for who has nothing else to do."""
    body = receive_bytes(sock)
    return None if body is None else from_json(body)


def packed_bytes(body: bytes) -> bytes:
    return _LENGTH.pack(len(body)) + body


def receive_bytes(sock: socket.socket) -> bytes | None:
    head = _exactly(sock, _LENGTH.size)
    return None if head is None else _exactly(sock, _LENGTH.unpack(head)[0])


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        try:
            part = sock.recv(min(size - len(received), 1 << 20))
        except ConnectionError:
            return None
        if not part:
            return None
        received += part
    return bytes(received)
