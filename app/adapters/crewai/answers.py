"""A crew's last words as data that fits the agent's output schema."""

import json
import re
from collections.abc import Iterator, Sequence

from jsonschema import Draft202012Validator
from pydantic import JsonValue

from app.domain.model.agents import Schema

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_MOST_TOLD = 5


class DoesNotFit(Exception):
    """The words are no JSON, or JSON of another shape; says where, for the model to mend."""


def wish(schema: Schema) -> str:
    """What is added to the last task's expected output."""
    return (
        "\n\nAnswer with one JSON value and nothing around it. It must fit this JSON Schema:\n"
        + json.dumps(schema, ensure_ascii=False)
    )


def read(text: str, schema: Schema) -> JsonValue:
    """The first value in the text that fits; raise `DoesNotFit` about the first there is."""
    wrong: list[str] = []
    for value in _values(text):
        violations = _violations(value, schema)
        if not violations:
            return value
        wrong = wrong or violations
    raise DoesNotFit("; ".join(wrong) or "it is not JSON")


def mending(text: str, schema: Schema, wrong: str) -> str:
    """What the model is asked when its words do not fit."""
    return (
        f"This answer was to fit a JSON Schema, but {wrong}.\n\n<answer>\n{text}\n</answer>\n\n"
        "Write it again with the same content, so that it fits." + wish(schema)
    )


def _values(text: str) -> Iterator[JsonValue]:
    """The JSON in the text, wherever a model may have put it: all of it, fenced, or in prose."""
    starts = [position for position in (text.find("{"), text.find("[")) if position >= 0]
    candidates: Sequence[str] = [
        text,
        *_FENCED.findall(text),
        *[text[at:] for at in sorted(starts)],
    ]
    for candidate in candidates:
        try:
            value, end = json.JSONDecoder().raw_decode(candidate.strip())
        except ValueError:
            continue
        if candidate is not text or not candidate.strip()[end:]:
            yield value


def _violations(value: JsonValue, schema: Schema) -> list[str]:
    errors = sorted(
        Draft202012Validator(schema).iter_errors(value), key=lambda each: each.json_path
    )
    return [
        f"at {each.json_path.removeprefix('$') or 'the top'}: {each.message[:200]}"
        for each in errors[:_MOST_TOLD]
    ]
