"""Prices: found by name, computed exactly, and said where a file of them is wrong."""

from datetime import date
from pathlib import Path

import pytest

from app.adapters.local.prices import InvalidPrices, read_prices
from app.domain.model.prices import Price, Prices

TAKEN = date(2026, 1, 1)
MINI = Price(model="openai:mini", input=0.4, cached=0.1, output=1.6, taken=TAKEN)


def test_input_cache_and_output_have_prices_of_their_own() -> None:
    assert MINI.nano_usd(1_000, 500, 200) == 800 * 400 + 200 * 100 + 500 * 1_600


def test_without_a_price_of_its_own_cached_input_costs_like_any() -> None:
    plain = MINI.model_copy(update={"cached": None})
    assert plain.nano_usd(1_000, 0, 1_000) == 400_000


def test_a_long_request_costs_more_for_every_token() -> None:
    price = Price.model_validate(
        {
            "model": "a:b",
            "input": 1,
            "output": 2,
            "long": {"over": 100, "input": 5, "output": 10},
            "taken": TAKEN,
        }
    )
    assert price.nano_usd(100, 1) == 100 * 1_000 + 2_000
    assert price.nano_usd(101, 1) == 101 * 5_000 + 10_000


def test_the_first_entry_that_fits_counts() -> None:
    dear = Price(model="openai:m*", input=9, output=9, taken=TAKEN)
    assert Prices.of([MINI, dear]).find("openai:mini") == MINI
    assert Prices.of([dear, MINI]).find("openai:mini") == dear


@pytest.mark.parametrize("version", ["", "-2026-04-14", "-20260414", "-latest"])
def test_a_name_stands_for_its_dated_versions(version: str) -> None:
    assert MINI.fits(f"openai:mini{version}")


@pytest.mark.parametrize("other", ["openai:mini-pro", "azure_openai:mini", "mini", "openai:min"])
def test_a_name_stands_for_nothing_else(other: str) -> None:
    assert not MINI.fits(other)


def test_a_model_nobody_wrote_down_has_no_price() -> None:
    assert Prices.of([MINI]).nano_usd("openai:other", 1, 1) is None


@pytest.mark.parametrize(
    "model",
    [
        "openai:gpt-4.1-mini",
        "azure_openai:gpt-4.1-mini",
        "anthropic:claude-sonnet-5",
        "anthropic:claude-haiku-4-5-20251001",
    ],
)
def test_the_models_we_name_have_prices(model: str) -> None:
    price = read_prices().find(model)
    assert price is not None
    assert 0 < price.input < price.output
    assert price.taken >= date(2026, 11, 1)


def test_one_s_own_machine_costs_nothing() -> None:
    assert read_prices().nano_usd("ollama:llama3.1", 10**6, 10**6) == 0


def test_no_shipped_price_is_hidden_by_another() -> None:
    prices = read_prices()
    for price in prices.entries:
        example = price.model.replace("*openai", "openai").replace("*", "x")
        assert prices.find(example) == price


def test_a_file_of_one_s_own_counts_first(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "taken: 2026-02-03\nprices:\n  - {model: 'openai:gpt-4.1-mini', input: 7, output: 8}\n"
    )
    price = read_prices([mine]).find("openai:gpt-4.1-mini")
    assert price is not None
    assert (price.input, price.taken) == (7, date(2026, 2, 3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1", "must have `taken`"),
        ("taken: 2026-01-01\nprices: []\nmore: 1", "must have `taken`"),
        ("taken: soon\nprices: [{model: 'a:b', input: 1, output: 1}]", "a:b: taken"),
        ("taken: 2026-01-01\nprices: [{model: 'a:b', input: -1, output: 1}]", "a:b: input"),
        ("taken: 2026-01-01\nprices: [{model: b, input: 1, output: 1}]", "b: model"),
        ("taken: 2026-01-01\nprices: [{model: 'a:b', inputs: 1, output: 1}]", "a:b: input"),
        ("taken: 2026-01-01\nprices: [free]", "'free' is no price"),
        ("{", "cannot be read"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(text)
    with pytest.raises(InvalidPrices, match=r"broken\.yaml: ") as raised:
        read_prices([broken])
    assert words in raised.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidPrices, match="cannot be read"):
        read_prices([tmp_path / "nowhere.yaml"])
