"""What every reader of a message can take: Python's texts and JSON can be more than that."""

import asyncio
import math
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from app.domain.model.errors import RunFailed

if TYPE_CHECKING:
    from app.domain.model.events import Result

_LONGEST_INTEGER = 14_000
"""Bits; readers of JSON take some 4,300 digits."""
DEEPEST = 60
"""Levels of arrays and objects in a result; with what is around it a message has up to 64."""


def as_text(said: str) -> str:
    """The same text; halves of a character become that character, or the sign for none."""
    try:
        said.encode()
    except UnicodeEncodeError:
        return said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return said


def words(error: BaseException) -> str:
    """What an error says of itself; of one that cannot say it, its name."""
    kind = type(error).__name__
    try:
        said = str(error)
    except BaseException:  # noqa: BLE001  # people's errors may raise anything
        return kind
    return as_text(f"{kind}: {said}" if said else kind)


def not_json(value: object) -> str | None:
    """Where a value is not JSON, and why; None where all of it is."""
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    while waiting:
        pointer, each, depth = waiting.pop()
        at = f"at {pointer} " if pointer else "it "
        if depth > DEEPEST:
            return f"it is nested over {DEEPEST} levels deep"
        if isinstance(each, dict):
            for key in each:
                if not isinstance(key, str):
                    return f"{at}has a key that is {kind_of(key)}, not a text"
            inside = [(f"{pointer}/{_token(key)}", each[key], depth + 1) for key in each]
            waiting += reversed(inside)
        elif isinstance(each, list):
            inside = [(f"{pointer}/{place}", item, depth + 1) for place, item in enumerate(each)]
            waiting += reversed(inside)
        elif why := _why_not_json(each):
            return f"{at}{why}"
    return None


def _why_not_json(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}, which is no number in JSON"
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
        return f"is an integer of {value.bit_length():,} bits"
    if isinstance(value, str) and as_text(value) != value:
        return "holds half a character"
    if value is None or isinstance(value, str | int | float):
        return None
    return f"is {kind_of(value)}"


def _token(key: str) -> str:
    return as_text(key[:100]).replace("~", "~0").replace("/", "~1")


def kind_of(value: object) -> str:
    """Its type, with its article."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


async def outcome_of(work: "Awaitable[Result]") -> "Result":
    """What people's code comes to, if whoever follows the task can read it.

    Raise `RunFailed` where not, and for what would end our event loop or break our handling.
    """
    try:
        return _require_readable(await work)
    except (Exception, asyncio.CancelledError):
        raise
    except BaseException as error:
        raise RunFailed("agent-error", words(error), retryable=False) from error


def _require_readable(result: "Result") -> "Result":
    try:
        whole = from_json(result.model_dump_json())
    except ValueError as error:  # half a character, a number of 5,000 digits, an object of Python's
        why = not_json(result.output) or error
        raise RunFailed("agent-error", f"the result is not JSON: {why}", retryable=False) from error
    if _nested_over(DEEPEST, whole["output"]):
        message = f"the result is nested over {DEEPEST} levels deep"
        raise RunFailed("agent-error", message, retryable=False)
    return result


def _nested_over(levels: int, value: Any) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(_nested_over(levels - 1, each) for each in value)
