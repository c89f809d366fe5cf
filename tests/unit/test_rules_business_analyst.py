"""The business analyst on quite different texts."""

import os
import re
import subprocess
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.local.catalog import FileCatalog, compile_schema
from app.adapters.rules.business_analyst import business_analyst
from app.adapters.rules.runtime import RulesRuntime
from app.domain.model.events import Result
from app.domain.model.ids import AgentName
from tests.contracts.agent_runtime import task
from tests.recording_context import RecordingContext

BIKES = (
    "a marketplace for second-hand bikes, three cities, 50,000 users, GDPR, "
    "launch in six months, 400,000 EUR"
)
HOSPITAL = (
    "We need an appointment system for our hospital. Patients should book, move and cancel "
    "appointments online. Doctors want to see their schedule. There are 12 departments. It must "
    "integrate with our Orbis system via HL7. No online payment is needed. Patients must be "
    "reminded 24 hours before. Go-live by 1 March 2027, HIPAA does not apply but DSGVO does."
)
LOGISTICS = (
    "Logistics tracking platform: 1.500.000 shipments per day, 99,9 % uptime, penalties of "
    "250.000 EUR per year, response within 4 hours."
)
GREENHOUSE = """# Greenhouse helper

Our cooperative grows tomatoes in 14 greenhouses. Today each grower writes humidity on paper.

We want:
- growers to record readings on their phone, even without internet
- an alert within 5 minutes when a fan stops
- a weekly report for the board

The system must run in German and Dutch. We have between 80,000 and 120,000 EUR.
"""
TEXTS = [
    BIKES,
    HOSPITAL,
    LOGISTICS,
    GREENHOUSE,
    "an app for dog owners",
    "The wind goes over the hill.",
]


def analysis(text: str) -> Any:
    return business_analyst(text, {}).output


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in found]


async def run(text: str) -> Result:
    spec = FileCatalog().load().require(AgentName("business-analyst")).spec
    return await RulesRuntime().run(spec, task(text), RecordingContext())


def test_a_marketplace_is_recognised_with_what_it_implies() -> None:
    found = analysis(BIKES)
    assert found["domain"] == "marketplace"
    assert {"Buyer", "Seller", "Operator"} <= set(names(found["actors"]))
    assert {"Listings", "Messaging", "Payment and pay-out"} <= set(names(found["capabilities"]))
    assert all(each["basis"] == "implied" for each in found["capabilities"])


def test_what_follows_from_the_numbers_shows_its_sum() -> None:
    sums = [each["arithmetic"] for each in analysis(BIKES)["derived"]]
    assert "400,000 EUR / 6 months = 66,667 EUR a month" in sums
    assert "400,000 EUR / 50,000 = 8 EUR" in sums


def test_a_law_says_what_it_demands() -> None:
    (law,) = analysis(BIKES)["constraints"]
    assert law["name"] == "GDPR"
    assert any("72 hours" in demand for demand in law["demands"])


def test_what_is_there_is_not_asked_for_and_what_is_missing_is() -> None:
    topics = {each["topic"] for each in analysis(BIKES)["open_questions"]}
    assert not topics & {"users", "budget", "time", "protection"}
    assert {"success", "today", "availability"} <= topics


def test_what_the_text_rules_out_is_not_proposed() -> None:
    found = analysis(HOSPITAL)
    assert "Payment" in found["ruled_out"]
    assert "payment" not in [each["key"] for each in found["capabilities"]]
    assert names(found["constraints"]) == ["GDPR"]


def test_stated_comes_before_implied_with_its_evidence() -> None:
    capabilities = analysis(HOSPITAL)["capabilities"]
    priorities = [each["priority"] for each in capabilities]
    assert priorities == sorted(priorities, key=["must", "should", "could"].index)
    assert all(each["evidence"] in HOSPITAL for each in capabilities if each["basis"] == "stated")


def test_german_numbers_are_read_in_an_english_text() -> None:
    values = {each["text"]: each["value"] for each in analysis(LOGISTICS)["quantities"]}
    assert values["1.500.000 shipments per day"] == 1_500_000
    assert values["99,9 %"] == 99.9


def test_an_unknown_domain_keeps_to_the_text() -> None:
    found = analysis(GREENHOUSE)
    assert found["domain"] is None
    assert found["title"] == "Greenhouse helper"
    assert "Grower" in names(found["actors"])
    assert all(each["basis"] == "stated" for each in found["capabilities"])
    assert len([need for need in found["needs"] if need["kind"] in ("wish", "limit")]) >= 3


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("A library where members borrow books and pay for a late loan", "lending library"),
        ("a walk along the river bank on a patient day, of course", None),
        ("a restaurant's kitchen display", None),
        ("an online shop for tea", "online shop"),
    ],
)
def test_one_word_with_two_meanings_shows_no_domain(text: str, domain: str | None) -> None:
    assert analysis(text)["domain"] == domain


def test_a_yearly_amount_beside_it_does_not_hide_the_budget() -> None:
    text = "We have 250,000 EUR for the first year and 40,000 EUR per year after it, 50,000 users"
    assert "250,000 EUR / 50,000 = 5 EUR" in [s["arithmetic"] for s in analysis(text)["derived"]]


def test_a_text_without_a_need_becomes_questions_and_nothing_else() -> None:
    found = analysis("The wind goes over the hill.")
    assert found["actors"] == found["capabilities"] == found["quantities"] == found["risks"] == []
    assert len(found["open_questions"]) >= 8


@pytest.mark.parametrize("text", TEXTS)
async def test_the_output_fits_its_schema_and_comes_with_a_report(text: str) -> None:
    spec = FileCatalog().load().require(AgentName("business-analyst")).spec
    result = await run(text)
    assert await compile_schema(spec.output_schema)(result.output) == ()
    (report,) = result.artifacts
    assert (report.name, report.media_type) == ("business-analyst.md", "text/markdown")
    assert "\n\n\n\n" not in report.content


@pytest.mark.parametrize("text", TEXTS)
async def test_the_same_text_gives_the_same_result(text: str) -> None:
    assert await run(text) == await run(text)


@pytest.mark.parametrize("text", TEXTS)
def test_no_quantity_is_invented(text: str) -> None:
    for each in analysis(text)["quantities"]:
        assert each["text"] in text


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    found = analysis(text)
    assert found["title"]
    assert not re.search(r"\d", text) or found["open_questions"]


def test_the_longest_input_is_worked_out_quickly() -> None:
    text = (f"{BIKES}. {HOSPITAL} {LOGISTICS}\n{GREENHOUSE}" * 20)[:20_000]
    start = time.perf_counter()
    analysis(text)
    assert time.perf_counter() - start < 5


def test_the_result_does_not_depend_on_how_python_hashes() -> None:
    program = (
        "import json, sys; from app.adapters.rules.procedures import PROCEDURES;"
        "print([json.dumps(run(sys.argv[1], {}).output) for run in PROCEDURES.values()])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program, HOSPITAL],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


@pytest.mark.parametrize(
    "text", ["Import covers 10 years of history in one table", "Data in use is 10 years old"]
)
def test_a_duration_is_the_time_to_launch_only_beside_words_that_say_so(text: str) -> None:
    (found,) = analysis(text)["quantities"]
    assert found["meaning"] == "keeping time"
    assert analysis("launch in six months")["quantities"][0]["meaning"] == "time to launch"


def test_a_version_stays_what_it_is_and_names_are_no_quantities() -> None:
    found = analysis("An app. It must meet WCAG 2.1 AA, level 2.1 AA, with two-factor sign-in")
    assert found["quantities"] == []
    assert found["constraints"][0]["evidence"] == "WCAG 2.1 AA"
    assert "2.2" not in str(found)


def test_the_texts_own_open_questions_are_open_questions_and_no_wishes() -> None:
    found = analysis("An app.\n\nOpen questions:\n- Who pays?\n- Which bank?\n\nWishes:\n- reports")
    assert [each["question"] for each in found["open_questions"][:2]] == [
        "Who pays?",
        "Which bank?",
    ]
    assert [each["text"] for each in found["needs"]] == ["reports"]
