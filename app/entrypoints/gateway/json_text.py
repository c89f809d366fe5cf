"""JSON as strictly as a contract deserves: what two readers could read in two ways is refused."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterable
from typing import Any, NoReturn

from app.entrypoints.gateway.problems import Problem, malformed

DEEPEST = 64


def check_json(body: bytes) -> bytes:
    """The JSON text of a body, without a byte order mark; raise a 400 `Problem` for what is none.

    Refused as well: a name twice in one object, NaN and infinities, numbers no float can hold, and
    more levels than other readers of the topics take.
    """
    body = body.removeprefix(BOM_UTF8)
    if not body.strip():
        raise malformed("the body is empty; send a JSON object")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise malformed(f"the body is not UTF-8: byte {error.start} cannot be read") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise malformed(f"the body is not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise malformed(f"the body is not JSON we take: {error}") from None
    if _deeper(value, DEEPEST):
        raise _too_deep()
    return body


def _deeper(value: Any, levels: int) -> bool:
    """Whether arrays and objects stand in each other beyond so many levels."""
    layer = [value]
    for _ in range(levels):
        layer = [inner for each in layer for inner in _inside(each)]
        if not layer:
            return False
    return any(isinstance(each, dict | list) for each in layer)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> Problem:
    return malformed(f"the JSON is nested deeper than {DEEPEST} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the name {twice[:100]!r} stands twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _whole(text: str) -> int:
    if len(text) > 1_000:
        raise ValueError(f"a number has {len(text)} digits; 1000 are the most")
    return int(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_int=_whole, parse_constant=_no_number
)
