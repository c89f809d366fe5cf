"""Which broker leads the cluster: asked in Kafka's own words, as no client library here can."""

import socket
import struct
from collections.abc import Sequence

from app.adapters.local.servers.kraft import KraftBroker
from app.adapters.local.servers.server import LOOPBACK

_DESCRIBE_QUORUM = 55
_TOPIC = b"__cluster_metadata"


def active_controller(brokers: Sequence[KraftBroker]) -> int:
    """The number of the broker whose controller is active; raise `OSError` where none knows."""
    for broker in brokers:
        if not broker.alive:
            continue
        try:
            return _leader(_ask(broker.port))
        except (OSError, struct.error, IndexError):
            continue
    raise OSError("no broker knows the active controller")


def _ask(port: int) -> bytes:
    header = struct.pack(">hhih", _DESCRIBE_QUORUM, 0, 1, 5) + b"chaos" + b"\0"
    partition = b"\2" + struct.pack(">i", 0) + b"\0"
    body = b"\2" + bytes([len(_TOPIC) + 1]) + _TOPIC + partition + b"\0" + b"\0"
    request = header + body
    with socket.create_connection((LOOPBACK, port), timeout=3) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        size = struct.unpack(">i", _exactly(connection, 4))[0]
        return _exactly(connection, size)


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.recv(count - len(found))
        if not piece:
            raise ConnectionResetError("the broker hung up")
        found += piece
    return found


def _leader(answer: bytes) -> int:
    """Behind correlation id, tags, error, two array lengths and the topic's name."""
    place = 4 + 1 + 2 + 1
    place += answer[place]  # the compact string: one more than its length, then the string
    place += 1  # the partitions' count
    _, error, leader = struct.unpack_from(">ihi", answer, place)
    if error or leader < 1:
        raise OSError(f"the quorum has no leader (error {error})")
    return int(leader)
