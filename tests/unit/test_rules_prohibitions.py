"""What a text forbids is a constraint: nobody builds it, and nobody says it was wished for."""

from typing import Any

import pytest

from app.adapters.rules.business_analyst import business_analyst
from app.adapters.rules.developer import developer

FORBIDDING = [
    "- Must not: change contracts, store bank data outside SAP",
    "Must not store bank data",
    "Do not store credit cards.",
    "Bank data must never be stored.",
    "Must not:\n- store bank data\n- send notifications",
    "It lives without storing bank data.",
    "There is no list of bank data.",
    "Bankdaten dürfen nicht gespeichert werden.",
    "Ohne Anmeldung. Kein Chat.",
]


def analysis(text: str) -> Any:
    return business_analyst(text, {}).output


def entities(text: str) -> list[str]:
    output: Any = developer(text, {}).output
    return [each["name"] for each in output["entities"]]


@pytest.mark.parametrize("text", FORBIDDING)
def test_what_is_forbidden_is_not_built(text: str) -> None:
    assert entities(text) == ["Item"]
    assert entities(f"Track my plants.\n\n{text}") == ["Plant"]


@pytest.mark.parametrize("text", FORBIDDING)
def test_what_is_forbidden_is_no_capability_and_no_wish(text: str) -> None:
    found = analysis(text)
    assert [each["name"] for each in found["capabilities"]] == []
    assert {each["kind"] for each in found["needs"]} <= {"prohibition"}


@pytest.mark.parametrize(
    "text",
    [
        "- Must not: send notifications, store bank data",
        "- Do not send notifications",
        "- no notifications",
        "Out of scope:\n- notifications",
    ],
)
def test_it_is_a_constraint(text: str) -> None:
    found = analysis(text)
    assert [each["kind"] for each in found["needs"]] == ["prohibition"]
    assert found["capabilities"] == []


def test_what_stands_beside_it_is_wanted() -> None:
    assert entities("Do not store credit cards, but track plants.") == ["Plant"]
    assert entities("It works without internet and tracks plants.") == ["Plant"]
    assert entities("We do not know who has it: track plants") == ["Plant"]


def test_what_must_not_be_lost_is_wanted_and_a_rule_not_to_be_broken_holds() -> None:
    found = analysis(
        "It must not lose a notification and must not violate GDPR. It needs no network"
    )
    assert {each["key"] for each in found["capabilities"]} == {"notifications", "offline"}
    assert [each["name"] for each in found["constraints"]] == ["GDPR"]
