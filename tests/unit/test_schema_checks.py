"""Holding values against schemas: it says what the library says, and ends whatever is sent."""

import asyncio
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import JsonValue

from app.adapters.local import schema_checks
from app.adapters.local.catalog import compile_schema
from app.domain.model.agents import Schema
from app.domain.model.errors import InvalidAgent, Unavailable

BACKTRACKING = "a" * 50_000 + "b"
MULTIPLYING: Schema = {
    "$ref": "#/$defs/0",
    "$defs": {
        "40": {"type": "integer"},
        **{str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)},
    },
}
WITHOUT_END: list[tuple[Schema, JsonValue]] = [
    ({"pattern": "^(a+)+$"}, BACKTRACKING),
    ({"pattern": "^(a|aa)+$"}, BACKTRACKING),
    ({"pattern": r"\s+$"}, " " * 200_000 + "x"),
    ({"patternProperties": {"^(a|aa)+$": {}}}, {BACKTRACKING: 1}),
    ({"propertyNames": {"pattern": "^(a|aa)+$"}}, {BACKTRACKING: 1}),
    ({"patternProperties": {"^(a|aa)+$": {}}, "additionalProperties": False}, {BACKTRACKING: 1}),
    ({"patternProperties": {"^(a|aa)+$": {}}, "unevaluatedProperties": False}, {BACKTRACKING: 1}),
    ({"items": {"not": {"pattern": "^(a|aa)+$"}}}, [BACKTRACKING]),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/$defs/x",
      "$defs": {"x": {"$schema": "https://json-schema.org/draft/2020-12/schema",
                      "pattern": "^(a|aa)+$"}}}, BACKTRACKING),
    (MULTIPLYING, "x"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value"), WITHOUT_END, ids=range(len(WITHOUT_END)))
async def test_a_check_without_end_is_ended_and_the_loop_goes_on_meanwhile(
    schema: Schema, value: JsonValue
) -> None:
    check = compile_schema(schema)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    async with asyncio.timeout(60):
        violations = await check(value)
    beating.cancel()
    assert beats >= 10, "it was on the event loop"
    if violations and "takes over" in violations[0].detail:
        assert violations[0].detail == "takes over 2 s to check against the agent's schema"
    else:  # `regex` sees through some of them
        assert schema["pattern"] == "^(a+)+$"


async def test_a_schema_that_refers_to_itself_for_ever_is_told_so() -> None:
    [violation] = await compile_schema({"$ref": "#"})("x")
    assert "RecursionError" in violation.detail


async def test_only_so_many_long_checks_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_checks, "_MOST_WAITING", 1)
    check = compile_schema({"pattern": "^(a|aa)+$"})
    first = asyncio.create_task(check(BACKTRACKING))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many"):
        await check(BACKTRACKING)
    assert await check("aaa") == ()  # a short one needs no thread
    assert len(await first) == 1


@pytest.mark.parametrize("schema", [
    {"pattern": "("}, {"patternProperties": {"[": {}}}, {"items": {"anyOf": [{"pattern": "*"}]}}
])  # fmt: skip
def test_a_pattern_that_is_none_is_refused_when_the_agent_is_loaded(schema: Schema) -> None:
    with pytest.raises(InvalidAgent, match="pattern"):
        compile_schema(schema)


def test_what_only_looks_like_a_pattern_is_none() -> None:
    compile_schema({"const": {"pattern": "("}, "properties": {"pattern": {"type": "string"}}})


# --- linear: uniqueItems and the keywords about what others have looked at ------------------------


def _members(count: int) -> dict[str, int]:
    return dict.fromkeys(map(str, range(count // 4)), 1)


MERSENNE = 2**61 - 1
"""Python's hash of every multiple of it is 0."""
MANY: list[tuple[Schema, Any]] = [
    ({"uniqueItems": True}, lambda n: list(range(n))),
    ({"uniqueItems": True}, lambda n: [each * MERSENNE for each in range(n)]),
    ({"uniqueItems": True}, lambda n: [[each, "a", {"b": None}] for each in range(n // 4)]),
    ({"uniqueItems": True}, lambda n: [each if each % 2 else str(each) for each in range(n)]),
    ({"unevaluatedItems": False, "items": {}}, lambda n: list(range(n))),
    ({"unevaluatedItems": {"type": "integer"}}, lambda n: list(range(n // 4))),
    ({"unevaluatedProperties": {"type": "integer"}}, _members),
    ({"additionalProperties": {"type": "integer"}}, _members),
    ({"anyOf": [{"items": {"type": "string"}}, {}]}, lambda n: list(range(n))),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "make"), MANY, ids=range(len(MANY)))
async def test_four_times_as_many_members_take_about_four_times_as_long(
    schema: Schema, make: Any
) -> None:
    check = compile_schema(schema)

    async def seconds(count: int) -> float:
        value = make(count)
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            assert await check(value) == ()
            best = min(best, time.process_time() - began)
        return best

    assert await seconds(40_000) < 9 * max(await seconds(10_000), 0.002)


# --- the same verdict as the library's ------------------------------------------------------------

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([1.0, 0.5, "", "a", "ab", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
_patterns = st.sampled_from(["a", "^b", "^$", "c$"])
_plain: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["object", "array", "string", "integer", "null"]),
        "const": _values, "enum": st.lists(_values, min_size=1, max_size=2),
        "pattern": _patterns, "uniqueItems": st.booleans(), "minimum": st.integers(-1, 1),
        "multipleOf": st.sampled_from([2, 0.5]), "required": st.just(["a"]),
    }),
)  # fmt: skip
_schemas = st.recursive(
    _plain,
    lambda inner: st.fixed_dictionaries({}, optional={
        "properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        "patternProperties": st.dictionaries(_patterns, inner, max_size=2),
        "additionalProperties": inner, "unevaluatedProperties": inner,
        "unevaluatedItems": inner, "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "items": inner, "contains": inner, "propertyNames": inner, "not": inner,
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "if": inner, "then": inner, "else": inner,
        "dependentSchemas": st.dictionaries(st.sampled_from("ab"), inner, max_size=1),
    }),
    max_leaves=6,
)  # fmt: skip


@given(_schemas.filter(lambda schema: isinstance(schema, dict)), _values)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_it_finds_a_value_fitting_where_the_library_does(schema: Schema, value: JsonValue) -> None:
    fits = not asyncio.run(compile_schema(schema)(value))
    assert fits == Draft202012Validator(schema).is_valid(value)
