"""Holds values against an agent's JSON Schema in bounded time, off the event loop where it is long.

What a value costs is up to whoever sends it: a pattern may backtrack without end, and a schema that
refers to itself multiplies. So every check has a deadline in the time that its thread computes. It
begins on the event loop, for the few milliseconds that nearly all checks need, and starts again in
a thread where that is not enough. Patterns run in `regex`, which stops when told to and lets other
threads run meanwhile; what the library compares pair by pair is done in linear time here.
"""

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from pydantic import JsonValue

from app.domain.model.agents import Schema
from app.domain.model.errors import InvalidAgent, Unavailable

_AT_ONCE = 0.005
"""Seconds of a check on the event loop."""
LONGEST = 2.0
"""Seconds of a check."""
_THREADS = 2
"""Checks of that kind at once: a thread that computes slows the event loop down."""
_MOST_WAITING = 20
_BETWEEN_LOOKS = 16
"""Keywords looked at between two looks at the clock."""

_T = TypeVar("_T")


class TakesTooLong(Exception):
    """A value takes longer to check than it may."""


async def bounded(check: Callable[[], _T]) -> _T:
    """What a check says, which may use a `Validator`; raise `TakesTooLong` where it has no end.

    Raises `Unavailable` while too many others are at it.
    """
    try:
        return _within(_AT_ONCE, check)
    except TakesTooLong:
        pass
    if _checking.waiting >= _MOST_WAITING:
        raise Unavailable("too many long checks of inputs are under way", retry_after=LONGEST)
    _checking.waiting += 1
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(_checking.threads, _within, LONGEST, check)
    finally:
        _checking.waiting -= 1


def prepared(schema: Schema) -> Schema:
    """The schema as the validator takes it; raise `InvalidAgent` where a pattern is none.

    `$schema` goes: it would have the library choose a validator of its own for what is below.
    """
    for pattern in _patterns(schema):
        try:
            _compiled(pattern)
        except (regex.error, OverflowError, RecursionError) as error:
            raise InvalidAgent(f"pattern: {pattern[:60]!r} is none: {error}") from error
    plain = _without_dialects(schema)
    assert isinstance(plain, dict)  # noqa: S101 - for the types alone
    return plain


class _Checking:
    """The threads for long checks, made when they are first needed."""

    def __init__(self) -> None:
        self.waiting = 0

    @functools.cached_property
    def threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="schemas")


class _Clock(threading.local):
    """How long this thread may go on; it counts the time it computes, not that of others."""

    until: float | None = None
    looks = 0

    def look(self) -> None:
        self.looks += 1
        if self.looks % _BETWEEN_LOOKS == 0:
            self.left()

    def left(self) -> float | None:
        """Seconds; None where there is no end."""
        if self.until is None:
            return None
        left = self.until - time.thread_time()
        if left <= 0:
            raise TakesTooLong
        return left


_checking = _Checking()
_clock = _Clock()


def _within(seconds: float, check: Callable[[], _T]) -> _T:
    _clock.until = time.thread_time() + seconds
    try:
        return check()
    finally:
        _clock.until = None


@functools.lru_cache(maxsize=1_024)
def _compiled(pattern: str) -> "regex.Pattern[str]":
    return regex.compile(pattern)


def _found(pattern: str, text: str) -> bool:
    try:
        return _compiled(pattern).search(text, timeout=_clock.left()) is not None
    except TimeoutError as error:
        raise TakesTooLong from error


def _patterns(part: JsonValue) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "pattern" and isinstance(value, str):
                yield value
            elif key == "patternProperties" and isinstance(value, dict):
                yield from value
            if key not in _PLAIN_DATA:
                yield from _patterns(value)
    elif isinstance(part, list):
        for value in part:
            yield from _patterns(value)


def _without_dialects(part: JsonValue) -> JsonValue:
    if isinstance(part, dict):
        return {
            key: value if key in _PLAIN_DATA else _without_dialects(value)
            for key, value in part.items()
            if not (key == "$schema" and isinstance(value, str))
        }
    if isinstance(part, list):
        return [_without_dialects(each) for each in part]
    return part


_PLAIN_DATA = frozenset(("const", "default", "enum", "examples"))
"""Keywords whose values are no schemas."""


# --- keywords, as the library has them, but bounded -----------------------------------------------

_Errors = Iterable[ValidationError] | None
_Keyword = Callable[[Any, Any, Any, Any], _Errors]


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _found(pattern, instance):
        yield ValidationError(f"it does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Any, instance: Any, _: Any
) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, subschema in patterns.items():
            for name, value in instance.items():
                if _found(pattern, name):
                    yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, additional: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    known = schema.get("properties", {})
    patterns = list(schema.get("patternProperties", ()))
    for name, value in instance.items():
        if name in known or any(_found(pattern, name) for pattern in patterns):
            continue
        if additional is False:
            yield ValidationError(f"{name!r} is not expected")
            return
        yield from validator.descend(value, additional, path=name)


def _unique_items(_: Any, unique: Any, instance: Any, __: Any) -> Iterator[ValidationError]:
    if unique and isinstance(instance, list):
        seen: set[str] = set()
        for item in instance:
            _clock.look()
            text = _canonical(item)
            if text in seen:
                yield ValidationError("it has an item twice")
                return
            seen.add(text)


def _canonical(value: Any) -> str:
    """A text that two values share when JSON Schema takes them for equal.

    A set of texts: whoever chooses numbers can choose those that share a place in a set.
    """
    if isinstance(value, str):
        return f'"{len(value)}:{value}'
    if isinstance(value, list):
        return f"[{','.join(map(_canonical, value))}]"
    if isinstance(value, dict):
        members = sorted((_canonical(name), _canonical(each)) for name, each in value.items())
        return f"{{{','.join(f'{name}:{each}' for name, each in members)}}}"
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, float) and not value.is_integer():
        return repr(value)
    return f"{int(value):x}"  # in time that grows as the number does


def _any_of(validator: Any, forms: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if not any(_fits(validator, instance, form) for form in forms):
        yield ValidationError("it fits none of the forms")


def _one_of(validator: Any, forms: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if sum(_fits(validator, instance, form) for form in forms) != 1:
        yield ValidationError("it fits none of the forms, or several")


def _fits(validator: Any, instance: Any, form: Any) -> bool:
    """The library collects all errors of all forms, which multiply where forms have forms."""
    return next(validator.descend(instance, form), None) is None


def _unevaluated_properties(
    validator: Any, unevaluated: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    evaluated = _evaluated(validator, instance, schema, _names_here)
    for name, value in instance.items():
        if name not in evaluated and not _fits(validator, value, unevaluated):
            yield ValidationError(f"{name!r} is not expected")
            return


def _unevaluated_items(
    validator: Any, unevaluated: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, list):
        return
    evaluated = _evaluated(validator, instance, schema, _places_here)
    for place, item in enumerate(instance):
        if place not in evaluated and not _fits(validator, item, unevaluated):
            yield ValidationError(f"item {place} is not expected")
            return


_Here = Callable[[Any, Any, Any], Iterator[Any]]


def _evaluated(validator: Any, instance: Any, schema: Any, here: _Here) -> set[Any]:
    """The members that the keywords beside and below have looked at, where they were satisfied."""
    found: set[Any] = set()
    if not isinstance(schema, dict):
        return found
    _clock.look()
    found.update(here(validator, instance, schema))
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in schema:
            resolved = validator._resolver.lookup(schema[keyword])  # noqa: SLF001 - as the library
            below = validator.evolve(schema=resolved.contents, _resolver=resolved.resolver)
            found |= _evaluated(below, instance, resolved.contents, here)
    for part in _in_place(validator, instance, schema):
        found |= _evaluated(validator, instance, part, here)
    return found


def _in_place(validator: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """The subschemas that look at the same value and that it satisfies."""
    for keyword in ("allOf", "oneOf", "anyOf"):
        for part in schema.get(keyword, ()):
            if validator.evolve(schema=part).is_valid(instance):
                yield part
    for name, part in schema.get("dependentSchemas", {}).items():
        if isinstance(instance, dict) and name in instance:
            yield part
    if "if" in schema:
        if validator.evolve(schema=schema["if"]).is_valid(instance):
            yield schema["if"]
            yield schema.get("then", True)
        else:
            yield schema.get("else", True)


def _names_here(validator: Any, instance: Any, schema: Any) -> Iterator[str]:
    known = schema.get("properties", {})
    patterns = list(schema.get("patternProperties", ()))
    others = [
        validator.evolve(schema=schema[keyword])
        for keyword in ("additionalProperties", "unevaluatedProperties")
        if keyword in schema
    ]
    for name, value in instance.items():
        if (
            name in known
            or any(_found(pattern, name) for pattern in patterns)
            or any(other.is_valid(value) for other in others)
        ):
            yield name


def _places_here(validator: Any, instance: Any, schema: Any) -> Iterator[int]:
    if "items" in schema:
        yield from range(len(instance))
        return
    yield from range(len(schema.get("prefixItems", ())))
    for keyword in ("contains", "unevaluatedItems"):
        if keyword in schema:
            other = validator.evolve(schema=schema[keyword])
            yield from (place for place, each in enumerate(instance) if other.is_valid(each))


_OWN: dict[str, _Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
    "uniqueItems": _unique_items,
}


def _looking(keyword: _Keyword) -> _Keyword:
    """The keyword, with a look at the clock before it."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> _Errors:
        _clock.look()
        return keyword(validator, value, instance, schema)

    return check


Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _looking(each) for name, each in {**Draft202012Validator.VALIDATORS, **_OWN}.items()},
)
"""Draft 2020-12, to be used within `bounded`."""
