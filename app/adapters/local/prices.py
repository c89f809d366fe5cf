"""Prices as YAML files: people's own first, then those that come with Crewline."""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from app.adapters.local.yaml_text import read_yaml
from app.domain.model.errors import Rejected
from app.domain.model.prices import Price, Prices


class InvalidPrices(Rejected):
    """A file of prices cannot be used as it stands."""

    code = "invalid-prices"


def read_prices(own: Sequence[Path] = ()) -> Prices:
    """Every price; raise `InvalidPrices` naming the file and what is wrong in it."""
    shipped = files("app") / "catalog" / "prices.yaml"
    return Prices.of(price for file in (*own, shipped) for price in _prices_in(file))


def _prices_in(file: Traversable) -> Iterator[Price]:
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise InvalidPrices(f"{file}: cannot be read: {' '.join(str(error).split())}") from error
    match content:
        case {"taken": taken, "prices": [*entries], **rest} if not rest:
            for entry in entries:
                yield _price(file, entry, taken)
        case _:
            raise InvalidPrices(f"{file}: must have `taken`, a date, and `prices`, a list")


def _price(file: Traversable, entry: Any, taken: Any) -> Price:
    if not isinstance(entry, dict):
        raise InvalidPrices(f"{file}: {entry!r} is no price; it needs `model`, `input`, `output`")
    try:
        return Price.model_validate({"taken": taken, **entry})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidPrices(f"{file}: {entry.get('model')}: {where}: {first['msg']}") from error
