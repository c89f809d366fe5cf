"""What models cost: a price for a million tokens, found by the model's name."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.domain.model.budgets import NANO

_PER = 1_000_000
_VERSION = re.compile(r"-(latest|\d{4}-\d{2}-\d{2}|\d{8})$")
"""How providers end the name of one version of a model."""

Dollars = Annotated[float, Field(ge=0, le=10_000)]


class Rates(BaseModel):
    """US dollars for a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Dollars
    output: Dollars
    cached: Dollars | None = None
    """For input that the provider had in its cache; without it, as for any input."""


class LongRates(Rates):
    """What every token of a request costs that has more input than `over`."""

    over: Annotated[int, Field(gt=0)]


class Price(Rates):
    """What one model costs, or several whose names fit."""

    model: Annotated[str, Field(pattern=r"^[a-z0-9_*?]+:.+$")]
    """`provider:name`, in which `*` and `?` stand for anything."""
    long: LongRates | None = None
    taken: date
    """When somebody looked it up."""

    def fits(self, model: str) -> bool:
        """Whether this is the price of that model; a name stands for its dated versions too."""
        return fnmatchcase(model, self.model) or fnmatchcase(_VERSION.sub("", model), self.model)

    def nano_usd(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """What a call costs, in billionths of a dollar; the cached tokens are among the input."""
        at: Rates = self
        if self.long is not None and input_tokens > self.long.over:
            at = self.long
        cached = at.input if at.cached is None else at.cached
        dollars = (
            at.input * (input_tokens - cached_tokens)
            + cached * cached_tokens
            + at.output * output_tokens
        )
        return round(dollars * (NANO // _PER))


@dataclass(frozen=True, slots=True)
class Prices:
    """Every price there is; where several fit, the first counts."""

    entries: tuple[Price, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[Price]) -> "Prices":
        return cls(tuple(entries))

    def find(self, model: str) -> Price | None:
        """The price of `provider:name`, or None where nobody wrote one down."""
        return next((price for price in self.entries if price.fits(model)), None)

    def nano_usd(
        self, model: str, input_tokens: int, output_tokens: int, cached_tokens: int = 0
    ) -> int | None:
        """What a call costs, in billionths of a dollar; None where the price is not known."""
        price = self.find(model)
        return price.nano_usd(input_tokens, output_tokens, cached_tokens) if price else None
