"""JSON as strictly as a contract deserves: what two readers could read in two ways is refused."""

import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

from app.entrypoints.gateway.problems import Problem, malformed, too_large

DEEPEST = 64
MOST_VALUES = 100_000
"""Values in a body, whatever they stand in: each costs far more than the bytes it is written in."""


def read_json(body: bytes) -> tuple[bytes, Any]:
    """A body's JSON, without a byte order mark, and its value; raise a 400 `Problem` for no JSON.

    Refused as well: a name twice in one object, NaN and infinities, numbers no float can hold, and
    more levels than other readers of the topics take; with a 413 more values than can be checked
    while others wait.
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
    _refuse_sprawling(value)
    return body, value


def _refuse_sprawling(value: Any) -> None:
    """Raise for arrays and objects that stand in each other too deep, or hold too many values."""
    layer, count = [value], 1
    for _ in range(DEEPEST):
        layer = [inner for each in layer for inner in _inside(each)]
        count += len(layer)
        if count > MOST_VALUES:
            raise too_large(
                f"the body holds more than {MOST_VALUES} values, the most that are read"
            )
        if not layer:
            return
    if any(isinstance(each, dict | list) for each in layer):
        raise _too_deep()


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> Problem:
    return malformed(f"the JSON is nested deeper than {DEEPEST} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name, number in times.items() if number > 1)
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
