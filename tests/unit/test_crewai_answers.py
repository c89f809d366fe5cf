"""Finding a value in what a model says, and carrying braces past CrewAI."""

import pytest

from app.adapters.crewai.answers import DoesNotFit, mending, read, wish
from app.adapters.crewai.braces import bare, shielded
from app.adapters.local.catalog import compile_schema
from app.domain.model.agents import Schema

WORDS: Schema = {
    "type": "object",
    "properties": {"words": {"type": "integer"}},
    "required": ["words"],
}


@pytest.mark.parametrize(
    "said",
    [
        '{"words": 3}',
        '  {"words": 3}\n',
        '```json\n{"words": 3}\n```',
        'First [1, 2].\n```\n{"words": 3}\n```\nThat is all {really}.',
        'I count {"words": 3}, as you see.',
        '```json\n{"name": "package"}\n```\nand\n```json\n{"words": 3}\n```',
    ],
)
async def test_the_value_is_found_wherever_a_model_put_it(said: str) -> None:
    assert await read(said, compile_schema(WORDS)) == {"words": 3}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("three", "it is not JSON"),
        ("", "it is not JSON"),
        ('{"words": 3', "it is not JSON"),
        ('{"words": "three"}', "at /words: must be integer, not string"),
        ("{}", "at the top: needs the field 'words'"),
    ],
)
async def test_what_does_not_fit_is_told_where(said: str, told: str) -> None:
    with pytest.raises(DoesNotFit) as wrong:
        await read(said, compile_schema(WORDS))
    assert str(wrong.value) == told


def test_the_model_is_told_what_it_said_what_is_wrong_and_what_is_wanted() -> None:
    request = mending("three", WORDS, "it is not JSON")
    assert "three" in request
    assert "it is not JSON" in request
    assert request.endswith(wish(WORDS))


@pytest.mark.parametrize("text", ["{tools}", "{input} and {tool_names}", "{other} {{ }}", "plain"])
def test_braces_come_out_as_they_went_in(text: str) -> None:
    assert bare(shielded(text)) == text
    assert "{tools}" not in shielded(text)
