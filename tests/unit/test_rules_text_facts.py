"""Figures, dates, money and constraints in texts as people write them."""

import json
import time

import pytest
from pydantic import JsonValue

from app.adapters.rules.text_facts import find_facts, text_facts

CASES: list[tuple[str, str, dict[str, JsonValue]]] = [
    ("with 50,000 users", "figures", {"text": "50,000 users", "value": 50_000, "unit": "users"}),
    ("in three cities", "figures", {"text": "three cities", "value": 3, "unit": "cities"}),
    ("about 50k users", "figures", {"value": 50_000, "qualifier": "about"}),
    ("two hundred thousand patients", "figures", {"value": 200_000}),
    ("twenty-five hospitals", "figures", {"value": 25, "unit": "hospitals"}),
    ("3 to 5 clinics", "figures", {"value": 3, "upper": 5}),
    ("1.500.000 shipments per day", "figures", {"value": 1_500_000, "per": "day"}),
    ("1.500 doctors", "figures", {"value": 1_500, "ambiguous": True}),
    ("12,500 events/second", "figures", {"value": 12_500, "per": "second"}),
    ("400,000 EUR", "money", {"text": "400,000 EUR", "value": 400_000, "unit": "EUR"}),
    ("400.000 EUR", "money", {"value": 400_000, "unit": "EUR"}),
    ("€1.5M", "money", {"value": 1_500_000, "unit": "EUR"}),
    ("$1.5m", "money", {"value": 1_500_000, "unit": "USD"}),
    ("2,5 Mio. Euro", "money", {"value": 2_500_000, "unit": "EUR"}),
    ("£20 per month", "money", {"value": 20, "unit": "GBP", "per": "month"}),
    ("3-5 million dollars", "money", {"value": 3_000_000, "upper": 5_000_000, "unit": "USD"}),
    ("between 80,000 and 120,000 EUR", "money", {"value": 80_000, "upper": 120_000}),
    ("99,95 % uptime", "percentages", {"value": 99.95}),
    ("99.999% uptime", "percentages", {"value": 99.999}),
    ("launch in six months", "durations", {"text": "six months", "value": 6, "unit": "month"}),
    ("a six-month pilot", "durations", {"value": 6, "unit": "month"}),
    ("half a year", "durations", {"value": 0.5, "unit": "year"}),
    ("within 4 hours", "durations", {"value": 4, "unit": "hour", "qualifier": "at most"}),
    ("answers in 200 ms", "durations", {"value": 200, "unit": "millisecond"}),
    ("neun Monaten", "durations", {"value": 9, "unit": "month"}),
    ("by 1 March 2027", "dates", {"text": "1 March 2027", "date": "2027-03-01"}),
    ("01.03.2027", "dates", {"date": "2027-03-01"}),
    ("on 2027-03-01", "dates", {"date": "2027-03-01"}),
    ("in Q3 2026", "dates", {"date": "2026-Q3"}),
    ("third quarter of 2026", "dates", {"date": "2026-Q3"}),
    ("December 2026", "dates", {"date": "2026-12"}),
    ("by 2027", "dates", {"date": "2027"}),
    ("03/04/2026", "dates", {"ambiguous": True}),
]


@pytest.mark.parametrize(("text", "group", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_quantity_is_read_as_a_person_would(
    text: str, group: str, expected: dict[str, JsonValue]
) -> None:
    found = text_facts(text)[group]
    assert isinstance(found, list)
    assert len(found) == 1
    fact = found[0]
    assert isinstance(fact, dict)
    assert {name: fact.get(name) for name in expected} == expected
    others = [name for name in text_facts(text) if name not in (group, "constraints")]
    assert all(text_facts(text)[name] == [] for name in others)


@pytest.mark.parametrize(
    "text",
    [
        "ISO 27001",
        "version 2.0",
        "Python 3.11",
        "one of the users",
        "24/7",
        "OAuth 2",
        "no one knows",
    ],
)
def test_a_name_with_a_number_is_no_figure(text: str) -> None:
    assert find_facts(text) == ()


def test_the_texts_own_number_style_decides_what_a_point_means() -> None:
    found = text_facts("99,9 % uptime and 12.500 events")["figures"]
    assert found == [{"text": "12.500 events", "value": 12_500, "unit": "events"}]


def test_sentences_that_bind_are_told_apart() -> None:
    text = "Data must stay in the EU. Drivers may not see prices. Answer within 2 hours. Nice."
    assert text_facts(text)["constraints"] == [
        {"text": "Data must stay in the EU.", "kind": "obligation"},
        {"text": "Drivers may not see prices.", "kind": "prohibition"},
        {"text": "Answer within 2 hours.", "kind": "limit"},
    ]


def test_every_fact_quotes_the_text() -> None:
    text = "12 hospitals, about 40k patients, 2.5 million EUR and nine months, from 1 May 2026."
    for fact in find_facts(text):
        assert fact.text in text


def test_facts_are_json_and_come_in_the_order_of_the_text() -> None:
    text = "5 cats, 6 dogs, 7 EUR, 8 days"
    json.dumps(text_facts(text))
    starts = [fact.start for fact in find_facts(text)]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "1,", "one ", "a ", "1.000.", "000 ", "twenty-", "- ", "€1-"]
)
def test_a_hostile_text_takes_no_time(piece: str) -> None:
    start = time.perf_counter()
    text_facts((piece * 20_000)[:20_000])
    assert time.perf_counter() - start < 5
