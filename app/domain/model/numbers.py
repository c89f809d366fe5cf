"""Numbers as people and programs write them."""

from pydantic import BeforeValidator


def _is_one(value: object) -> object:
    if isinstance(value, str | bool):
        raise ValueError("must be a number")  # noqa: TRY004  # pydantic hears only this
    return value


A_NUMBER = BeforeValidator(_is_one)
"""No text that looks like one, nor a truth value; 5.0 is as good as 5, as in JSON Schema."""
