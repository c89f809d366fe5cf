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


def packed(frame: Frame) -> bytes:
    try:
        body = to_json(frame)
    except PydanticSerializationError:  # half a character in some text
        body = as_text(json.dumps(frame, ensure_ascii=False)).encode()
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next message; None when the other side is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
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
