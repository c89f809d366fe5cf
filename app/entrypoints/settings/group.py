"""What every group of settings has in common."""

import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_settings import NoDecode


class Group(BaseModel):
    """Immutable, and it knows all its fields: a name it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def _listed(value: object) -> object:
    """A text as a list: a JSON array, or parts between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


Name = Annotated[str, StringConstraints(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")]
"""A name Kafka takes for topics and groups."""

Names = Annotated[list[Name], NoDecode, BeforeValidator(_listed)]
"""Several names; as one text they are separated by commas."""

Texts = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
"""Several texts without commas in them; as one text they are separated by commas."""

Port = Annotated[int, Field(ge=0, le=65_535)]
"""A TCP port; 0 lets the system choose one."""

Seconds = Annotated[float, Field(gt=0)]


def _per_provider(value: object) -> object:
    """`provider:number` texts as a mapping; a number alone is every other provider's."""
    if not isinstance(value, str):
        return value
    found: dict[str, str] = {}
    for part in value.split(","):
        name, _, number = part.strip().rpartition(":")
        if not number.isdecimal():
            raise ValueError("must be provider:number, several separated by commas, or a number")
        if (name or "*") in found:
            raise ValueError(f"has two numbers for {name or 'the others'}")
        found[name or "*"] = number
    return found


PerProvider = Annotated[
    dict[str, Annotated[int, Field(ge=1)]], NoDecode, BeforeValidator(_per_provider)
]
"""A number for each provider of chat models; as one text, `openai:500,anthropic:50`."""
