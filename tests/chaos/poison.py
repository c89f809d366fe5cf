"""Twelve kinds of records that are no tasks, as broken programs and strangers send them."""

import gzip
import json
import random
import uuid
from dataclasses import dataclass

_CLOUD = (("ce_specversion", b"1.0"), ("content-type", b"application/json"))


@dataclass(frozen=True, slots=True)
class Draught:
    kind: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    keyed: bool = True
    dead: bool = True
    """Whether it has to become a dead letter."""
    given_key: bytes | None = None

    def key(self, chance: random.Random) -> bytes | None:
        if self.given_key or not self.keyed:
            return self.given_key
        return str(uuid.UUID(int=chance.getrandbits(128), version=4)).encode()


def _deep(levels: int) -> bytes:
    return b'{"input": ' + b"[" * levels + b"]" * levels + b"}"


DRAUGHTS = (
    Draught("truncated JSON", b'{"input": "half a tas'),
    Draught(
        "a wrong version", b'{"input": "x"}', (*_CLOUD, ("ce_type", b"crewline.task.submit.v9"))
    ),
    Draught("an array", b'[{"input": "x"}]', keyed=False),
    Draught("no input", b'{"parameters": {}}'),
    Draught("not UTF-8", b'{"input": "\xff\xfe\xfa"}'),
    Draught("deep nesting", _deep(5_000)),
    Draught("a number too large", b'{"input": "x", "parameters": {"n": 1e999}}'),
    Draught("a large body", json.dumps({"input": "x" * 900_000}).encode()),
    Draught("compressed bytes", gzip.compress(b"0" * 200_000), keyed=False),
    Draught("another agent's task", b'{"input": "x", "agent": "medium"}'),
    Draught("broken headers", b'{"input": 3}', (("ce_type", b"\xff\xff"), ("ce_subject", b"\xfe"))),
    Draught("a null value", None, dead=False),
)
