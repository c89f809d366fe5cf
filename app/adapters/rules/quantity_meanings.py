"""Tells what a text's numbers are about, and works out what follows from them."""

from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel, ConfigDict

from app.adapters.rules.analysis import Derived, Quantity
from app.adapters.rules.brief import Brief
from app.adapters.rules.facts import Fact
from app.adapters.rules.knowledge_files import read_knowledge
from app.adapters.rules.procedure import heed_stop
from app.adapters.rules.templates import number
from app.adapters.rules.vocabulary import vocabulary


class Meanings(BaseModel):
    """The words of `catalog/knowledge/meanings.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    periods: dict[str, tuple[str, ...]]
    money: dict[str, tuple[str, ...]]
    availability: tuple[str, ...]
    due: tuple[str, ...]
    people: tuple[str, ...]
    places: tuple[str, ...]


@cache
def meanings() -> Meanings:
    return Meanings.model_validate(read_knowledge("meanings.yaml"))


def quantities(brief: Brief) -> tuple[Quantity, ...]:
    return tuple(
        Quantity(
            text=fact.text,
            kind=fact.kind,
            value=fact.value,
            upper=fact.upper,
            unit=fact.unit,
            per=fact.per,
            date=fact.date,
            meaning=meaning(fact, brief),
        )
        for fact in brief.facts
    )


def meaning(fact: Fact, brief: Brief) -> str:
    """What a number is about, from the words around it; `not said` where they do not tell."""
    heed_stop()
    around = brief.around(fact)
    if fact.kind == "money":
        said = _said(around, meanings().money)
        return said or ("budget" if brief.has_one_amount and fact.per is None else "not said")
    if fact.kind == "duration":
        long = vocabulary().seconds[fact.unit or "year"] >= vocabulary().seconds["week"]
        known = dict(meanings().periods)
        if not long:
            known.pop("time to launch")
        said = _said(around, known)
        return said or ("not said" if long else "time limit")
    if fact.kind == "percentage":
        return (
            "availability" if any(word in around for word in meanings().availability) else "share"
        )
    if fact.kind == "date":
        stated = f"{fact.text} {around}".lower()
        return "deadline" if any(word in stated for word in meanings().due) else "date"
    return "rate" if fact.per else "amount"


def derived(brief: Brief) -> tuple[Derived, ...]:
    return tuple(_derive(brief))


def budget(brief: Brief) -> Fact | None:
    """The one amount of money that is a budget; None where there is none, or several."""
    amounts = [fact for fact in brief.facts if fact.kind == "money" and fact.per is None]
    found = [fact for fact in amounts if meaning(fact, brief) == "budget"]
    return found[0] if len(found) == 1 else None


def time_to_launch(brief: Brief) -> Fact | None:
    found = [
        f for f in brief.facts if f.kind == "duration" and meaning(f, brief) == "time to launch"
    ]
    return found[0] if len(found) == 1 else None


def users(brief: Brief) -> Fact | None:
    """The largest stated number of people."""
    found = [
        f for f in brief.facts if f.kind == "figure" and not f.per and _is(f, meanings().people)
    ]
    return max(found, key=lambda fact: fact.upper or fact.value or 0, default=None)


def rates(brief: Brief) -> tuple[Fact, ...]:
    """What happens so often a second, hour or day."""
    return tuple(
        f
        for f in brief.facts
        if f.kind == "figure" and f.per in ("second", "minute", "hour", "day", "week", "month")
    )


def availabilities(brief: Brief) -> tuple[Fact, ...]:
    return tuple(
        f for f in brief.facts if f.kind == "percentage" and meaning(f, brief) == "availability"
    )


def per_second(fact: Fact) -> float:
    return (fact.upper or fact.value or 0) / vocabulary().seconds[fact.per or "day"]


def _derive(brief: Brief) -> Iterator[Derived]:
    money, time, people = budget(brief), time_to_launch(brief), users(brief)
    amount = (money.upper or money.value or 0) if money else 0
    if money and time:
        months = (
            (time.value or 0)
            * vocabulary().seconds[time.unit or "month"]
            / vocabulary().seconds["month"]
        )
        if months >= 1:
            yield Derived(
                statement=f"The budget allows about {number(round(amount / months))} {money.unit} "
                "a month until launch, if all of it is spent on building.",
                arithmetic=f"{number(amount)} {money.unit} / {number(round(months, 1))} months "
                f"= {number(round(amount / months))} {money.unit} a month",
            )
    if money and people and people.value:
        each = round(amount / people.value, 2)
        yield Derived(
            statement=f"The budget is {number(each)} {money.unit} for each of the {people.text}.",
            arithmetic=f"{number(amount)} {money.unit} / {number(people.value)} = {number(each)} "
            f"{money.unit}",
        )
    places = [f for f in brief.facts if f.kind == "figure" and _is(f, meanings().places)]
    if people and people.value and len(places) == 1 and (places[0].value or 0) > 1:
        share = round(people.value / (places[0].value or 1))
        yield Derived(
            statement=f"If spread evenly, that is about {number(share)} {people.unit} for each of "
            f"the {places[0].text}.",
            arithmetic=f"{number(people.value)} / {number(places[0].value or 1)} = {number(share)}",
        )
    for rate in rates(brief):
        if rate.per != "second":
            each_second = round(per_second(rate), 2)
            seconds = number(vocabulary().seconds[rate.per or "day"])
            yield Derived(
                statement=f"{rate.text} is {number(each_second)} a second on average; "
                "the peak is not said.",
                arithmetic=f"{number(rate.upper or rate.value or 0)} / {seconds} s = "
                f"{number(each_second)}/s",
            )
    for level in availabilities(brief):
        down = round(43_200 * (100 - (level.value or 0)) / 100, 1)
        yield Derived(
            statement=f"{level.text} availability leaves {number(down)} minutes of downtime in a "
            "month of 30 days.",
            arithmetic=f"(100 - {number(level.value or 0)}) / 100 x 43,200 min "
            f"= {number(down)} min",
        )


def _said(around: str, known: dict[str, tuple[str, ...]]) -> str | None:
    """The meaning whose word stands nearest to the number."""
    here = around.index("\u2063")
    nearest: tuple[int, str] | None = None
    for name, words in known.items():
        for word in words:
            for spot in _spots(around, word):
                distance = here - spot - len(word) if spot < here else spot - here
                if nearest is None or distance < nearest[0]:
                    nearest = (distance, name)
    return nearest[1] if nearest else None


def _spots(around: str, word: str) -> Iterator[int]:
    padded = f" {around}"
    start = padded.find(f" {word}")
    while start >= 0:
        yield start
        start = padded.find(f" {word}", start + 1)


def _is(fact: Fact, stems: tuple[str, ...]) -> bool:
    last = (fact.unit or "").lower().split(" ")[-1]
    return last.startswith(stems)
