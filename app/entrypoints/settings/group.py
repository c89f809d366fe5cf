"""What every group of settings has in common."""

import json
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_settings import NoDecode


class Group(BaseModel):
    """Immutable, and it knows all its fields: a name it does not know is a mistake.

    Its numbers are finite, and those that the broker or the system count in have their limits.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )


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

_MOST_SECONDS = 2_000_000
"""Kafka counts milliseconds in 32 bits."""

Seconds = Annotated[float, Field(gt=0, le=_MOST_SECONDS)]

SecondsOrNone = Annotated[float, Field(ge=0, le=_MOST_SECONDS)]
"""Seconds, where 0 is as good as any."""

Bytes = Annotated[int, Field(ge=1_024, le=1_000_000_000)]
"""What a message may have; topics of dead letters take twice as much, in 32 bits."""

Many = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
"""As good as without end."""


def require_readable(url: str) -> None:
    """Raise `ValueError` for an address that programs read in different ways; it shows none of it.

    The first `/`, `?` or `#` ends what names the host, also within a password.
    """
    try:
        parts = urlsplit(url)
        odd = "#" in url or any("@" in part for part in (parts.path, parts.query))
        _ = parts.port
    except ValueError:
        odd = True
    if odd:
        raise ValueError(
            "cannot be read; in a user or a password / is written %2F, ? %3F, # %23 and @ %40"
        )
