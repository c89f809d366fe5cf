"""A crew's last words as data that fits the agent's output schema."""

import json
import re
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from app.domain.model.agents import Check, Schema

_FENCE = "```"
_OPENING = re.compile(r"(?:json)?[ \t]{0,20}\r?\n")
_MOST_TOLD = 5


class DoesNotFit(Exception):
    """The words are no JSON, or JSON of another shape; says where, for the model to mend."""


def wish(schema: Schema) -> str:
    """What is added to the last task's expected output."""
    return (
        "\n\nAnswer with one JSON value and nothing around it. It must fit this JSON Schema:\n"
        + json.dumps(schema, ensure_ascii=False)
    )


async def read(text: str, check: Check) -> JsonValue:
    """The first value in the text that fits; raise `DoesNotFit` about the first there is."""
    wrong: list[str] = []
    for value in _values(text):
        violations = await check(value)
        if not violations:
            return value
        wrong = wrong or [
            f"at {each.pointer or 'the top'}: {each.detail}" for each in violations[:_MOST_TOLD]
        ]
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
        *_fenced(text),
        *[text[at:] for at in sorted(starts)],
    ]
    for candidate in candidates:
        try:
            value, end = json.JSONDecoder().raw_decode(candidate.strip())
        except (ValueError, RecursionError):  # the latter where it is nested too deep
            continue
        if candidate is not text or not candidate.strip()[end:]:
            yield value


def _fenced(text: str) -> Iterator[str]:
    """The blocks between fences, in one pass whatever the text is."""
    at = text.find(_FENCE)
    while at >= 0:
        at += len(_FENCE)
        if opening := _OPENING.match(text, at):
            end = text.find(_FENCE, opening.end())
            if end < 0:
                return
            yield text[opening.end() : end]
            at = end + len(_FENCE)
        at = text.find(_FENCE, at)
