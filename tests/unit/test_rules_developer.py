"""The developer's projects: they parse, pass their own tests and the linter, whatever was asked."""

import ast
import keyword
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.adapters.local.catalog import FileCatalog, compile_schema
from app.adapters.rules.runtime import RulesRuntime
from app.domain.model.events import Result
from app.domain.model.ids import AgentName
from tests.contracts.agent_runtime import task
from tests.recording_context import RecordingContext

NEEDS = {
    "marketplace": "a marketplace for second-hand bikes, three cities, 50,000 users",
    "fields": "Each book has a title, an author, a year and a price. Track our members.",
    "keywords": "A class has import, from, None, True, a date, type, str and lambda.",
    "empty-ish": "?!",
    "one word": "email",
    "quotes": 'Track "things\\" and \'\'\' """ {{ 7 * 7 }} {% raw %} \\n \x07.',
    "non-ascii": "Wir verwalten Bücher. Ein Buch hat Größe, Preis und Übersetzer. 予約 システム",
    "no latin letters": "予約システムを作ってください",
    "digits": "Track 3D printers. A 3D printer has 2 nozzles and 3 axes.",
    "tool library": "A tool library, members borrow. A tool with name, owner and deposit.",
    "long": "keep notes. " * 1500,
}


BUILT = [
    "marketplace",
    "fields",
    "keywords",
    "empty-ish",
    "non-ascii",
    "quotes",
    "digits",
    "tool library",
]


async def build(need: str) -> Result:
    spec = FileCatalog().load().require(AgentName("developer")).spec
    result = await RulesRuntime().run(spec, task(need), RecordingContext())
    assert await compile_schema(spec.output_schema)(result.output) == ()
    return result


def write(result: Result, folder: Path) -> None:
    for artifact in result.artifacts:
        file = folder / artifact.name
        assert folder in file.resolve().parents
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(artifact.content, encoding="utf-8")


def run(folder: Path, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("need", NEEDS.values(), ids=NEEDS)
async def test_the_project_parses_and_names_no_keyword(need: str) -> None:
    result = await build(need)
    for artifact in result.artifacts:
        if artifact.name.endswith(".py"):
            ast.parse(artifact.content)
        if artifact.name.endswith(".toml"):
            tomllib.loads(artifact.content)
    assert isinstance(result.output, dict)
    package = str(result.output["package"])
    assert package.isidentifier()
    assert not keyword.iskeyword(package)
    assert package not in sys.stdlib_module_names


@pytest.mark.parametrize("name", BUILT)
async def test_the_project_passes_its_own_tests_and_the_linter(name: str, tmp_path: Path) -> None:
    write(await build(NEEDS[name]), tmp_path)
    run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider")
    run(tmp_path, "ruff", "check", "--no-cache", ".")


async def test_fields_come_from_the_text() -> None:
    output = (await build(NEEDS["fields"])).output
    assert isinstance(output, dict)
    entities = output["entities"]
    assert isinstance(entities, list)
    assert entities[0] == {
        "name": "Book",
        "label": "book",
        "basis": "stated",
        "fields": [
            {"name": "title", "type": "str"},
            {"name": "author", "type": "str"},
            {"name": "year", "type": "int"},
            {"name": "price", "type": "Decimal"},
        ],
    }


async def test_the_same_need_gives_the_same_project() -> None:
    assert await build(NEEDS["marketplace"]) == await build(NEEDS["marketplace"])


async def fields_of(need: str) -> dict[str, dict[str, str]]:
    output = (await build(need)).output
    assert isinstance(output, dict)
    found: Any = output["entities"]
    return {each["name"]: {f["name"]: f["type"] for f in each["fields"]} for each in found}


@pytest.mark.parametrize(
    "need",
    [
        "a tool with name, owner and deposit",
        "A tool has a name, an owner and a deposit.",
        "Lend tools with name, owner and deposit.",
        "Track tools with name, owner and deposit and let members borrow them.",
        "A tool library: a tool with name, owner and deposit, so that nobody forgets it.",
    ],
)
async def test_with_lists_fields_too_and_a_deposit_is_money(need: str) -> None:
    assert (await fields_of(need))["Tool"] == {"name": "str", "owner": "str", "deposit": "Decimal"}


async def test_amounts_are_exact() -> None:
    (fields,) = (await fields_of("A bill has a name, a rent_in_euros and a fee in cents")).values()
    assert fields == {"name": "str", "rent_in_euros": "Decimal", "fee_in_cents": "int"}


async def test_a_reference_is_to_a_thing_of_the_project() -> None:
    found = await fields_of(NEEDS["tool library"])
    assert "Book" not in found
    assert "tool_id" in found["Loan"]
    assert "book_id" not in found["Loan"]
    for need in ("A library system with loans", "A tool library for members", NEEDS["marketplace"]):
        project = await fields_of(need)
        names = {f"{name.lower()}_id" for name in project}
        for fields in project.values():
            assert {name for name in fields if name.endswith("_id")} <= names


async def test_only_what_the_text_names_is_stated() -> None:
    output: Any = (await build("A tool library: members borrow items and titles")).output
    basis = {each["name"]: each["basis"] for each in output["entities"]}
    assert basis == {"Tool": "stated", "Loan": "implied", "Member": "stated"}
    assert any(each.startswith("The text does not name these") for each in output["assumptions"])
