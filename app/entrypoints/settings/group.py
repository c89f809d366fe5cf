"""What every group of settings has in common."""

import json
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_settings import NoDecode


class Group(BaseModel):
    """Immutable, and it knows all its fields: a name it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def listed(value: object) -> object:
    """A text as a list: a JSON array, or parts between commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


Name = Annotated[str, StringConstraints(min_length=1, max_length=249, pattern=r"^[A-Za-z0-9._-]+$")]
"""A name Kafka takes for topics and groups."""

Names = Annotated[list[Name], NoDecode, BeforeValidator(listed)]
"""Several names; as one text they are separated by commas."""

Texts = Annotated[list[str], NoDecode, BeforeValidator(listed)]
"""Several texts without commas in them; as one text they are separated by commas."""

Port = Annotated[int, Field(ge=0, le=65_535)]
"""A TCP port; 0 lets the system choose one."""

Seconds = Annotated[float, Field(gt=0)]
