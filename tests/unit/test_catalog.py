"""Catalogs of files and of memory: what they load, and how they refuse."""

import time
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment, StrictUndefined
from pydantic import JsonValue

from app.adapters.local.catalog import FileCatalog, compile_schema
from app.adapters.local.yaml_text import read_yaml
from app.adapters.memory.catalog import MemoryCatalog
from app.domain.model.agents import Agent, AskerRules, Check
from app.domain.model.budgets import StrictBudget
from app.domain.model.commands import TaskRequest
from app.domain.model.errors import InvalidAgent, InvalidInput
from app.domain.model.ids import AgentName
from app.ports.catalog import CatalogSource
from tests.contracts.catalog import CatalogSourceContract, titled_agent


class TestMemoryCatalog(CatalogSourceContract):
    @pytest.fixture
    def source(self) -> CatalogSource:
        return MemoryCatalog([titled_agent("writer"), titled_agent("editor")], compile_schema)


class TestFileCatalog(CatalogSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> CatalogSource:
        for name in ("writer", "editor"):
            text = yaml.safe_dump(titled_agent(name).model_dump(mode="json"))
            (tmp_path / f"{name}.yaml").write_text(text)
        return FileCatalog([tmp_path])


def write(folder: Path, text: str, name: str = "mine.yaml") -> FileCatalog:
    (folder / name).write_text(text, encoding="utf-8")
    return FileCatalog([folder])


MINIMAL = """
name: mine
description: Says hello.
runtimes: {rules: {template: "Hello {{ text }}"}}
"""


def refusal(catalog: FileCatalog) -> str:
    with pytest.raises(InvalidAgent) as refused:
        catalog.load()
    return refused.value.message


async def test_an_agent_without_a_schema_takes_as_long_a_text_as_is_set(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text(
        "name: plain\ndescription: x\nruntimes: {rules: {template: 'x {{ text }}'}}\n"
    )
    (tmp_path / "own.yaml").write_text(
        "name: own\ndescription: x\ninput_schema: {type: string}\n"
        "runtimes: {rules: {template: 'x {{ text }}'}}\n"
    )
    catalog = FileCatalog([tmp_path], max_input_characters=5).load()
    plain, own = (catalog.require(AgentName(name)) for name in ("plain", "own"))
    assert await plain.check_input("12345") == await own.check_input("123456") == ()
    assert "at most 5 are allowed" in (await plain.check_input("123456"))[0].detail
    usual = FileCatalog([tmp_path]).load().require(AgentName("plain"))
    assert await usual.check_input("x" * 100_000) == ()
    assert await usual.check_input("x" * 100_001)


def test_the_shipped_agents_load_and_have_both_runtimes_rules_first() -> None:
    for name in ("business-analyst", "solution-architect", "developer"):
        spec = FileCatalog().load().require(AgentName(name)).spec
        assert list(spec.runtimes)[:2] == ["rules", "crewai"]


def test_a_file_in_a_folder_is_an_agent(tmp_path: Path) -> None:
    assert write(tmp_path, MINIMAL).load().require(AgentName("mine")).spec.runtimes


def test_a_folder_may_replace_a_shipped_agent(tmp_path: Path) -> None:
    catalog = write(tmp_path, MINIMAL.replace("name: mine", "name: developer")).load()
    assert catalog.require(AgentName("developer")).spec.description == "Says hello."


def test_two_files_of_one_folder_may_not_share_a_name(tmp_path: Path) -> None:
    write(tmp_path, MINIMAL, "a.yaml")
    message = refusal(write(tmp_path, MINIMAL, "b.yml"))
    assert "b.yml" in message
    assert "a.yaml" in message


def test_a_misspelt_field_names_the_closest_right_one(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, MINIMAL + "expected_ouput: x\n"))
    assert "mine.yaml" in message
    assert "expected_ouput" in message
    assert "'expected_output'" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "cannot be read"),
        ("- a list", "mapping"),
        ("", "mapping"),
        ("description: x\nruntimes: {rules: {}}", "name: is missing"),
        (MINIMAL.replace("mine", "Not A Slug"), "name:"),
        (MINIMAL + "timeout_seconds: -1", "timeout_seconds:"),
        (MINIMAL + "timeout_seconds: '5'", "timeout_seconds:"),
        (MINIMAL + "goal: one\ngoal: other", "'goal' stands here twice"),
        (MINIMAL + "retry: {attempts: 1, jitter: 0, attempts: 2}", "'attempts' stands here twice"),
        (MINIMAL + "input_schema: {b: {<<: {a: 0}, c: 1, c: 2}}", "'c' stands here twice"),
        (MINIMAL + "input_schema: {type: strin}", "input_schema: type"),
        (MINIMAL + "output_schema: {required: 3}", "output_schema: required"),
        (MINIMAL + "input_schema: {$ref: 'https://example.com/x'}", "leads nowhere"),
        (MINIMAL + "input_schema: {$ref: '#/$defs/none'}", "leads nowhere"),
    ],
)
def test_a_file_that_is_no_agent_is_refused_with_file_and_field(
    tmp_path: Path, text: str, words: str
) -> None:
    message = refusal(write(tmp_path, text))
    assert "mine.yaml" in message
    assert words in message
    assert "\n" not in message


def test_what_is_merged_in_may_be_written_again() -> None:
    text = """
root: &r {a: 0}
holder: {base: &b {<<: *r, a: 1}, 1: one, "1": text}
derived: {<<: *b}
"""
    assert read_yaml(text) == {
        "root": {"a": 0},
        "holder": {"base": {"a": 1}, 1: "one", "1": "text"},
        "derived": {"a": 1},
    }


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    catalog = write(tmp_path, f"{MINIMAL}input_schema: {'[' * 3_000}{']' * 3_000}\n")
    assert refusal(catalog) == f"{tmp_path / 'mine.yaml'}: is nested too deep"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refusal(FileCatalog([tmp_path / "nowhere"]))


def asking(value: str | dict[str, object]) -> TaskRequest:
    return TaskRequest.model_validate({"agent": "business-analyst", "input": value})


def analyst() -> Agent:
    return FileCatalog().load().require(AgentName("business-analyst"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "input: must not be empty"),
        (" \n ", "input: must not be blank"),
        ("x" * 20_001, "input: has 20,001 characters; at most 20,000 are allowed"),
        ({"text": "  "}, "input/text: must not be blank"),
        ({"topic": "bikes"}, "input: needs one of the fields: text, query, prompt"),
        ({"text": 3}, "input/text: must be string, not number"),
    ],
)
async def test_the_analyst_says_clearly_what_it_cannot_take(
    value: str | dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await analyst().accept(
            TaskRequest.model_validate({"agent": "business-analyst", "input": value})
        )
    assert refused.value.message == said


@pytest.mark.parametrize("value", ["a shop", {"text": "a shop"}, {"query": "a shop", "more": 1}])
async def test_the_analyst_takes_a_text_or_an_object_with_one(
    value: str | dict[str, object],
) -> None:
    await analyst().accept(
        TaskRequest.model_validate({"agent": "business-analyst", "input": value})
    )


async def test_checking_a_typical_input_takes_microseconds() -> None:
    check = analyst().check_input
    took = [await _seconds_for_a_hundred(check, "a shop for bikes " * 20) for _ in range(20)]
    best = min(took)
    assert best / 100 < 50e-6


async def _seconds_for_a_hundred(check: Check, value: str) -> float:
    start = time.perf_counter()
    for _ in range(100):
        await check(value)
    return time.perf_counter() - start


@pytest.mark.parametrize("value", ["a shop", {"text": "a shop"}, {"query": "a shop"}])
def test_every_shipped_instruction_renders_over_every_form_of_input(value: JsonValue) -> None:
    environment = Environment(undefined=StrictUndefined)
    for agent in FileCatalog().load():
        template = environment.from_string(agent.spec.instructions)
        assert "a shop" in template.render(input=value, parameters={"audience": "board"})


def test_agents_without_a_budget_have_the_usual_one_where_somebody_keeps_it(
    tmp_path: Path,
) -> None:
    for name, more in (
        ("own", "budget: {task: {tokens: 5}}\nruntimes: {rules: {}}"),
        ("unmetered", "runtimes: {python: {callable: 'x:y'}}"),
        ("metered", "runtimes: {python: {callable: 'x:y', meters: true}}"),
    ):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ndescription: x\n{more}\n")
    usual = StrictBudget(tokens=1_000)
    catalog = FileCatalog([tmp_path], rules=AskerRules(task_budget=usual)).load()
    budgets = {agent.name: agent.spec.budget.task for agent in catalog}
    assert budgets.pop(AgentName("own")) == StrictBudget(tokens=5)
    assert budgets.pop(AgentName("unmetered")) is None
    assert len(budgets) >= 4, "those that come with Crewline are among them"
    assert set(budgets.values()) == {usual}


LAUGHS = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize("more", [f"l0: &l0 [x]\n{LAUGHS}", "a: &a [*a]\n"])
def test_aliases_that_make_more_than_any_memory_holds_are_refused(
    tmp_path: Path, more: str
) -> None:
    assert "aliases make over 100,000 values" in refusal(write(tmp_path, MINIMAL + more))
