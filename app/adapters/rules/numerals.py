"""Reads numbers as people write them: 50k, 1.5M, twenty-five, 400.000 and 99,9."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from app.adapters.rules.vocabulary import any_of, vocabulary

Number = int | float

_DIGITS = (
    r"\d{1,3}(?:[.,'\u2019\u00a0\u202f]\d{3}){1,5}(?:[.,]\d{1,6})?(?!\d)"
    r"|\d{1,3}(?: 000){1,3}(?!\d)"
    r"|\d{1,15}(?:[.,]\d{1,6})?"
)
_NO_MORE = r"(?![.,]?\d)"
_DECIMAL_COMMA = re.compile(
    rf"(?<![\d.,])\d{{1,3}}(?:(?:\.\d{{3}}){{2,5}}|(?:\.\d{{3}}){{0,5}},\d{{1,2}}){_NO_MORE}"
)
_DECIMAL_POINT = re.compile(
    rf"(?<![\d.,])\d{{1,3}}(?:(?:,\d{{3}}){{2,5}}|(?:,\d{{3}}){{0,5}}\.\d{{1,2}}){_NO_MORE}"
)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number, and whether its point or comma could have been meant otherwise."""

    value: Number
    ambiguous: bool = False


@cache
def number_pattern(*, money: bool = False) -> str:
    """Digits with an optional magnitude, or number words; `$1.5m` is money, `5 m` is metres."""
    known = vocabulary()
    spelled = any_of([word for word in known.magnitudes if len(word) > 2] + ["bn", "mn"])
    short = "kKmM" if money else "kKM"
    words = any_of(list(known.words))
    return (
        rf"(?:(?:{_DIGITS})(?:\s?(?:{spelled})\b\.?|[{short}]\b|\s[kK]\b)?"
        rf"|(?:an?\s)?\b(?:{words})(?:[\s-](?:and\s)?(?:{words})){{0,5}}\b)"
    )


def read_numeral(text: str, *, german: bool, decimal_point: bool = False) -> Numeral | None:
    """The number in a piece that `number_pattern` matched; None where the words make none."""
    if not text[0].isdigit():
        value = _from_words(re.split(r"[\s-]+", text.lower()))
        return None if value is None else Numeral(value)
    parts = re.fullmatch(rf"({_DIGITS})\s?(.*)", text, re.DOTALL)
    if parts is None:
        return None
    digits, magnitude = parts[1], parts[2].lower().rstrip(".")
    amount, ambiguous = _from_digits(digits, german=german, decimal_point=decimal_point)
    if magnitude:
        amount *= vocabulary().magnitudes[magnitude]
    return Numeral(plain(amount), ambiguous and not magnitude)


def plain(amount: Decimal) -> Number:
    """A decimal as JSON has it: whole numbers without a fraction."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def has_decimal_commas(text: str) -> bool:
    """Whether 1.500 is fifteen hundred here: by the text's clear numbers, else by its language."""
    commas, points = len(_DECIMAL_COMMA.findall(text)), len(_DECIMAL_POINT.findall(text))
    if commas != points:
        return commas > points
    words = re.findall(r"[a-zäöüß]+", text.lower())
    known = vocabulary()
    german = sum(word in known.german for word in words)
    english = sum(word in known.english for word in words)
    return german > english


def _from_digits(digits: str, *, german: bool, decimal_point: bool) -> tuple[Decimal, bool]:
    """Two different marks: the last is the decimal one. Three digits after one mark: grouping."""
    bare = re.sub(r"['\u2019\s\u00a0\u202f]", "", digits)
    marks = re.findall(r"[.,]", bare)
    if not marks:
        return Decimal(bare), False
    last = marks[-1]
    tail = bare.rsplit(last, 1)[1]
    if len(set(marks)) == 2:
        grouping = "." if last == "," else ","
        return Decimal(bare.replace(grouping, "").replace(last, ".")), False
    if len(marks) > 1:
        return Decimal(bare.replace(last, "")), False
    whole = bare.split(last, 1)[0]
    looks_grouped = len(tail) == 3 and whole != "0" and len(whole) <= 3
    if not looks_grouped or decimal_point:
        return Decimal(bare.replace(last, ".")), False
    usual = "." if german else ","
    return Decimal(bare.replace(last, "")), last != usual


def _from_words(words: list[str]) -> int | None:
    known = vocabulary().words
    total = current = 0
    for word in words:
        if word in ("and", "a", "an"):
            continue
        value = known[word]
        if value in (100, 12) and word in ("hundred", "dozen", "hundert"):
            current = max(current, 1) * value
        elif value >= 1000:
            total += max(current, 1) * value
            current = 0
        elif current % 100 and not (current % 100 >= 20 and current % 10 == 0 and value < 10):
            return None
        else:
            current += value
    return total + current
