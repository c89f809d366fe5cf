"""The developer: a small Python project with tests, from the things a text speaks of."""

import threading
from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel, ConfigDict, JsonValue

from app.adapters.rules.analysis import Question
from app.adapters.rules.brief import Brief, read_brief
from app.adapters.rules.entities import Entity, entities
from app.adapters.rules.identifiers import package_name, snake, words_of
from app.adapters.rules.procedure import Draft
from app.adapters.rules.templates import Templates
from app.domain.model.events import Artifact

_PYTHON = "text/x-python"


class File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    purpose: str


class Project(BaseModel):
    """The shape of the developer's structured output."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    summary: str
    package: str
    entities: tuple[Entity, ...]
    files: tuple[File, ...]
    assumptions: tuple[str, ...]
    open_questions: tuple[Question, ...]


def developer(text: str, parameters: dict[str, JsonValue]) -> Draft:
    """A project's files and what they rest on; `parameters.title` overrides the title.

    The README is the agent's template, so a person can have their own.
    """
    brief = read_brief(text)
    asked = parameters.get("title")
    title = asked if isinstance(asked, str) and words_of(asked) else brief.title
    things = entities(brief)
    package = package_name(title, things[0].name)
    values: dict[str, object] = {
        "package": package,
        "title": " ".join(words_of(title)) or package,
        "entities": [_for_template(each) for each in things],
        "uses": {field.type for each in things for field in each.fields},
    }
    written = [
        (f"{package}/__init__.py", "init.py.j2", _PYTHON, "The package's public names."),
        (f"{package}/model.py", "model.py.j2", _PYTHON, "The things and what must hold for them."),
        (f"{package}/store.py", "store.py.j2", _PYTHON, "Keeps things and finds them again."),
        ("tests/test_model.py", "test_model.py.j2", _PYTHON, "What the things accept and refuse."),
        ("tests/test_store.py", "test_store.py.j2", _PYTHON, "That what is kept is found."),
        ("pyproject.toml", "pyproject.toml.j2", "application/toml", "How to build and test it."),
    ]
    files = tuple(
        Artifact(
            name=name,
            media_type=media_type,
            content=_templates().render(f"developer/{template}", values, threading.Event()),
        )
        for name, template, media_type, _ in written
    )
    names = ", ".join(each.name for each in things)
    summary = f"Package {package} with {names}: {len(files) + 1} files, tested."
    project = Project(
        title=title,
        summary=summary,
        package=package,
        entities=things,
        files=(
            File(name="README.md", purpose="What it is and how to use it."),
            *(File(name=name, purpose=purpose) for name, _, _, purpose in written),
        ),
        assumptions=tuple(_assumptions(things, brief)),
        open_questions=tuple(_questions(things, brief)),
    )
    return Draft(output=project.model_dump(mode="json"), summary=summary, files=files)


@cache
def _templates() -> Templates:
    return Templates()


def _for_template(entity: Entity) -> dict[str, object]:
    """An entity with the names and sample values that its code and tests need."""
    fields = [
        {"name": each.name, "type": each.type, "sample": _sample(each.type, each.name)}
        for each in entity.fields
    ]
    variable = snake(entity.name)
    return {
        "name": entity.name,
        "label": " ".join(words_of(entity.label)).lower() or variable,
        "variable": variable,
        "fields": fields,
        "first_text": next(each.name for each in entity.fields if each.type == "str"),
        "numbers": [each.name for each in entity.fields if each.type in ("int", "Decimal")],
    }


def _sample(kind: str, name: str) -> str:
    samples = {
        "int": "3",
        "Decimal": 'Decimal("12.50")',
        "date": "date(2026, 1, 15)",
        "bool": "True",
    }
    return samples.get(kind, f'"some {name.strip("_").replace("_", " ")}"')


def _assumptions(things: tuple[Entity, ...], brief: Brief) -> Iterator[str]:
    for each in things:
        if each.basis == "assumed":
            yield "The text names no thing to keep; an item with a name and a note stands for it."
        elif each.basis == "implied":
            yield f"{each.name} is usual for such a system; the text does not name it."
        fields = ", ".join(f"{field.name} ({field.type})" for field in each.fields)
        yield f"{each.name} has {fields}."
        names = [field.name for field in each.fields]
        unsaid = [name for name in names if not brief.wording.find((name.replace("_", " "),))]
        if unsaid and each.basis != "assumed":
            yield f"The text does not name these fields of {each.name}: {', '.join(unsaid)}."
    yield "Texts that identify a thing must not be blank; amounts and counts must not be negative."
    yield "Things are kept in memory; the store's interface is where a database goes."


def _questions(things: tuple[Entity, ...], brief: Brief) -> Iterator[Question]:
    for each in things:
        if each.basis != "stated" or brief.domain is None:
            yield Question(
                question=f"Which fields does {each.name} have, and which of them must be given?",
                why="Fields were taken from the text where it lists them, and assumed elsewhere",
                topic="fields",
            )
    yield Question(
        question="Where are the things to be kept, and who may change them?",
        why="The project keeps them in memory and asks nobody for permission",
        topic="storage",
    )
