"""Finds the things a program is about, and their fields, in a text."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from app.adapters.rules.brief import Brief
from app.adapters.rules.identifiers import class_name, field_name, words_of
from app.adapters.rules.knowledge import KnownEntity
from app.adapters.rules.knowledge_files import read_knowledge
from app.adapters.rules.vocabulary import vocabulary

FieldType = Literal["str", "int", "Decimal", "date", "bool"]

_MOST_ENTITIES = 4
_MOST_FIELDS = 12
_KNOWN_TYPES: dict[str, FieldType] = {
    "str": "str",
    "int": "int",
    "money": "Decimal",
    "decimal": "Decimal",
    "date": "date",
    "bool": "bool",
}
_NO_NAME = frozenset(("a", "an", "the", "its", "their", "optional", "ein", "eine"))
_NOUN = r"([^\W\d_][\w-]*(?:\s[^\W\d_][\w-]*)?)"
_HAS_FIELDS = re.compile(
    rf"\b(?:an?|each|every|the|ein|eine|jede[rs]?)\s+{_NOUN}\s+"
    r"(?:has|have|with|consists of|contains|stores|mit|hat)\s+"
    r"(?:(?:an?|the|its|fields?:?|these fields:?|eine[nm]?)\s+)?([^.;:\n!?]{2,300})",
    re.IGNORECASE,
)
_HANDLES = re.compile(
    r"\b(?:manag(?:e|es|ing)|track(?:s|ing)?|stor(?:e|es|ing)|record(?:s|ing)?|register(?:s|ing)?"
    r"|catalogu?(?:e|es|ing)|organi[sz](?:e|es|ing)|collect(?:s|ing)?|list(?:s|ing)? of"
    r"|inventory of|keep(?:s|ing)?|lend(?:s|ing)?|sell(?:s|ing)?|verwalte[nt]?|erfasse[nt]?)\s+"
    r"(?:(?:all|my|our|their|the|of|a|an|list|die|der|das|alle|unsere|meine)\s+)*" + _NOUN,
    re.IGNORECASE,
)


class Field(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: FieldType


class Entity(BaseModel):
    """A thing the program keeps; `label` is the text's own word for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    label: str
    basis: Literal["stated", "implied", "assumed"]
    fields: tuple[Field, ...]


def entities(brief: Brief) -> tuple[Entity, ...]:
    """First those the text spells out, then those its domain has, then what it wants handled."""
    found: dict[str, Entity] = {}
    for entity in (*_spelled_out(brief), *_of_domain(brief), *_handled(brief)):
        if len(found) < _MOST_ENTITIES:
            found.setdefault(entity.name, entity)
    if not found:
        found["Item"] = Entity(name="Item", label="item", basis="assumed", fields=_usual_fields())
    return tuple(found.values())


def _spelled_out(brief: Brief) -> Iterator[Entity]:
    """`a book has title, author and year`: at least two fields, or it is no list of fields."""
    for match in _HAS_FIELDS.finditer(brief.wanted):
        label = _noun(match[1])
        names = [_field(part) for part in re.split(r",|\band\b|\bund\b|&", match[2])]
        fields = list({each.name: each for each in names if each}.values())[:_MOST_FIELDS]
        name = class_name(label) if label else None
        if name and len(fields) >= 2:
            yield Entity(name=name, label=label, basis="stated", fields=_with_text(fields))


def _of_domain(brief: Brief) -> Iterator[Entity]:
    known = brief.domain.entities if brief.domain else ()
    named = [each for each in known if brief.wording.find(each.words)]
    for each in named or known[:1]:
        yield _known(each, stated=bool(named))


def _known(each: KnownEntity, *, stated: bool) -> Entity:
    fields = tuple(Field(name=name, type=_KNOWN_TYPES[kind]) for name, kind in each.fields.items())
    label = " ".join(re.findall(r"[A-Z][a-z]+", each.name)).lower()
    basis: Literal["stated", "implied"] = "stated" if stated else "implied"
    return Entity(name=each.name, label=label, basis=basis, fields=fields)


def _handled(brief: Brief) -> Iterator[Entity]:
    """`track my plants`: the thing is stated, its fields are the usual ones."""
    if brief.domain is not None:
        return
    for match in _HANDLES.finditer(brief.wanted):
        label = _singular(_noun(match[1]))
        if label and (name := class_name(label)):
            yield Entity(name=name, label=label, basis="stated", fields=_usual_fields())


def _usual_fields() -> tuple[Field, ...]:
    return (Field(name="name", type="str"), Field(name="note", type="str"))


def _noun(words: str) -> str:
    """The words up to the first small one: `plants and` is `plants`."""
    taken = []
    for word in words.split():
        if word.lower() in vocabulary().unit_ends:
            break
        taken.append(word.lower())
    return " ".join(taken)


def _singular(label: str) -> str:
    if label.endswith("ies") and len(label) > 4:
        return f"{label[:-3]}y"
    if label.endswith(("ches", "shes", "xes", "sses")):
        return label[:-2]
    if label.endswith("s") and not label.endswith(("ss", "us", "is")):
        return label[:-1]
    return label


def _field(part: str) -> Field | None:
    """A field of one to four words; a longer piece is prose."""
    words = [word for word in part.split() if word.lower() not in _NO_NAME]
    name = field_name(" ".join(words)) if 0 < len(words) <= 4 else None
    if name is None or not words_of(part):
        return None
    parts = set(name.strip("_").split("_"))
    return Field(name=name, type=_type_by_words(parts))


def _type_by_words(parts: set[str]) -> FieldType:
    known = next((kind for kind, words in field_types().items() if parts & words), None)
    return known or "str"


@cache
def field_types() -> dict[FieldType, frozenset[str]]:
    known = read_knowledge("fields.yaml")
    return TypeAdapter(dict[FieldType, frozenset[str]]).validate_python(known)


def _with_text(fields: list[Field]) -> tuple[Field, ...]:
    """Every entity can be found by a text; one without any gets a name."""
    if any(field.type == "str" for field in fields):
        return tuple(fields)
    return (Field(name="name", type="str"), *fields)
