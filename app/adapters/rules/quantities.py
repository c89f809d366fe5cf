"""Finds money, percentages, durations and counted things in a text."""

import re
from collections.abc import Iterator
from functools import cache

from app.adapters.rules.facts import Fact, FactKind
from app.adapters.rules.numerals import Number, number_pattern, read_numeral
from app.adapters.rules.procedure import heed_stop
from app.adapters.rules.vocabulary import any_of, vocabulary

_PER = (
    r"(?:\s?(?:/|\bper\b|\ban?\b|\beach\b|\bevery\b|\bpro\b|\bje\b)\s?(?P<per>[^\W\d_]+)"
    r"|\s(?P<adverb>daily|weekly|monthly|yearly|annually|hourly|täglich|monatlich))?"
)
_ADVERBS = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "yearly": "year",
    "annually": "year",
    "hourly": "hour",
    "täglich": "day",
    "monatlich": "month",
}
_WORD = r"[^\W\d_][\w&]*(?:[-\u2019'][\w]+){0,5}"
_RATE = re.compile(_PER, re.IGNORECASE)


_LABEL = re.compile(r"([^\W\d_]+|§)[\s.-]*$")


def _range(number: str) -> str:
    return rf"(?P<low>{number})(?:(?:\s?[-–—]\s?|\s(?:to|and|bis|und)\s)(?P<high>{number}))?"  # noqa: RUF001 - people write ranges with a dash


def _compiled(pattern: str) -> re.Pattern[str]:
    names = [name for kind in vocabulary().qualifiers.values() for name in kind]
    before = rf"(?:(?<!\w)(?P<qualifier>{any_of(names)})\s?)?(?<![\w.,§])"
    return re.compile(before + pattern, re.IGNORECASE)


@cache
def _patterns() -> tuple[tuple[FactKind, re.Pattern[str]], ...]:
    known = vocabulary()
    signs = [name for name in known.currencies if not name.isalpha()]
    names = [name for name in known.currencies if name.isalpha()]
    codes = [name for name in names if len(name) == 3]
    money, plain = _range(number_pattern(money=True)), _range(number_pattern())
    units = any_of([name for group in known.time_units.values() for name in group])
    sign = rf"(?P<sign>{any_of(signs)}|\b(?:{any_of(codes)})\b)"
    return (
        ("money", _compiled(rf"{sign}\s?{money}{_PER}")),
        ("money", _compiled(rf"{money}\s?(?P<sign>{any_of(signs)}|(?:{any_of(names)})\b){_PER}")),
        ("percentage", _compiled(rf"{plain}\s?(?P<unit>%|percent\b|per cent\b|prozent\b)")),
        ("duration", _compiled(rf"{plain}[\s-]?(?P<unit>{units})\b\.?")),
        ("duration", _compiled(rf"(?P<half>half an?)\s(?P<unit>{units})\b")),
        ("duration", re.compile(rf"(?<=\bwithin )(?P<single>an?)\s(?P<unit>{units})\b")),
        ("figure", _compiled(rf"{plain}[\s-](?=(?P<unit>{_WORD}(?:\s{_WORD}){{0,3}}))")),
    )


def find_quantities(text: str, *, german: bool) -> Iterator[Fact]:
    """Every quantity, the surest kinds first; overlaps are for the caller to drop."""
    for kind, pattern in _patterns():
        for match in pattern.finditer(text):
            heed_stop()
            if fact := _fact(kind, match, text, german=german):
                yield fact


def _fact(kind: FactKind, match: re.Match[str], text: str, *, german: bool) -> Fact | None:
    parts = match.groupdict()
    value, upper, ambiguous = _values(kind, parts, german=german)
    if value is None:
        return None
    end = match.end()
    unit: str | None = None
    per = parts.get("per")
    if kind == "money":
        unit = vocabulary().currencies[str(parts["sign"]).lower()]
        ambiguous = False  # money has cents or none, so three digits are a group
        if per is not None and per.lower() in vocabulary().unit_ends:
            per, end = None, match.start("per")
        per = _singular(per) if per else _ADVERBS.get(str(parts["adverb"]).lower())
    elif kind == "percentage":
        unit = "%"
    elif kind == "duration":
        unit = vocabulary().time_unit(str(parts["unit"]))
    else:
        unit = _counted(str(parts["unit"]))
        if unit is None or _is_label(text, match.start("low"), str(parts["low"]), value):
            return None
        end = match.start("unit") + len(unit)
        if rate := _RATE.match(text, end):
            per = rate["per"] if rate["per"] and vocabulary().time_unit(rate["per"]) else None
            per = vocabulary().time_unit(per) if per else _ADVERBS.get(str(rate["adverb"]).lower())
            end = rate.end() if per else end
    return Fact(
        kind=kind,
        text=re.sub(r"\s+", " ", text[match.start() : end]).strip(" ./"),
        start=match.start(),
        end=end,
        value=value,
        upper=upper,
        unit=unit,
        per=per,
        qualifier=vocabulary().qualifier(parts.get("qualifier") or ""),
        ambiguous=ambiguous,
    )


def _values(
    kind: FactKind, parts: dict[str, str | None], *, german: bool
) -> tuple[Number | None, Number | None, bool]:
    if parts.get("half"):
        return 0.5, None, False
    if parts.get("single"):
        return 1, None, False
    exact = kind == "percentage"
    low, high = parts.get("low"), parts.get("high")
    first = read_numeral(low, german=german, decimal_point=exact) if low else None
    second = read_numeral(high, german=german, decimal_point=exact) if high else None
    if first is None:
        return None, None, False
    value = first.value
    if second is not None and high and low and value < second.value:
        scale = _shared_magnitude(low, high)
        return value * scale, second.value, first.ambiguous or second.ambiguous
    return value, None, first.ambiguous


def _shared_magnitude(low: str, high: str) -> int:
    """`3-5 million` is three million to five million."""
    magnitude = re.search(r"[^\W\d]+\.?$", high)
    if magnitude is None or re.search(r"[^\W\d]", low):
        return 1
    return vocabulary().magnitudes.get(magnitude[0].lower().rstrip("."), 1)


def _counted(words: str) -> str | None:
    """The thing that is counted: words up to the first plural, never past a small word."""
    if re.match(r"(?:A{1,3}|(?i:factor|fa[ck]tor-?\w*))\b", words):
        return None  # WCAG's levels, and two-factor sign-in
    taken: list[str] = []
    for word in re.findall(_WORD, words):
        if word.lower() in vocabulary().unit_ends:
            break
        taken.append(word)
        if word.lower().endswith("s") and not word.lower().endswith(("ss", "us", "is", "ous")):
            return words[: words.index(word) + len(word)] if len(taken) == 1 else " ".join(taken)
    return taken[0] if taken and len(taken[0]) > 1 else None


def _is_label(text: str, start: int, digits: str, value: Number) -> bool:
    """Whether the number is part of a name (`ISO 27001`), a list's mark, or the word `one`."""
    if digits.lower() == "one" or (value == 1 and not digits[0].isdigit()):
        return True
    previous = _LABEL.search(text[max(0, start - 20) : start])
    return previous is not None and previous[1].lower() in vocabulary().labels


def _singular(word: str) -> str:
    lowered = word.lower()
    return vocabulary().time_unit(lowered) or lowered
