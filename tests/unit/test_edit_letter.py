"""A value sent instead of a dead letter's own, whatever that one was."""

from dataclasses import replace

import pytest

from app.domain.model.agents import AgentCatalog
from app.domain.use_cases.edit_letter import edited_command
from tests.builders import ANALYST
from tests.contracts.dead_letters import NOT_TEXT, letter


@pytest.mark.parametrize(
    "was", [b"no json", NOT_TEXT, b"[" * 100_000, b'{"n": ' + b"9" * 10_000 + b"}", b"7", None]
)
async def test_a_value_may_take_the_place_of_anything(was: bytes | None) -> None:
    lying = letter(origin=replace(letter().origin, value=was), agent=ANALYST)
    edited = await edited_command(lying, {"input": "x"}, AgentCatalog([]))
    assert edited.input == "x"
