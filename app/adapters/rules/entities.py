"""Finds the things a program is about, and their fields, in a text."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from app.adapters.rules.brief import Brief
from app.adapters.rules.identifiers import class_name, field_name, snake, words_of
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
    r"(?:(?:all|my|our|their|the|of|a|an|list|die|der|das|alle|unsere|meine)\s+){0,6}" + _NOUN,
    re.IGNORECASE,
)

_WITH_FIELDS = re.compile(
    rf"{_HANDLES.pattern}\s+(?:with|mit)\s+(?=[^.;:\n!?]{{0,300}},)([^.;:\n!?]{{2,300}})",
    re.IGNORECASE,
)
_LENT = re.compile(
    r"\b(?:lend(?:s|ing)?|borrow(?:s|ing)?)\s+(?:(?:all|our|their|the|an?|out)\s+){0,6}"
    r"([^\W\d_][\w-]*)|(?<![\w-])([^\W\d_][\w-]*)\s(?:lending\s)?library\b",
    re.IGNORECASE,
)
_NO_GOODS = frozenset(
    [
        "public",
        "lending",
        "our",
        "my",
        "new",
        "local",
        "small",
        "city",
        "town",
        "school",
        "digital",
        "village",
        "book",
        "books",
        "item",
        "items",
        "thing",
        "things",
        "it",
        "them",
        "stuff",
        "something",
        "one",
        "two",
        "three",
        "more",
        "up",
    ]
)
_NO_FIELD = re.compile(
    r"\b(?:who|which|that|so|where|when|und wer|and (?:it|we|they|i|members?|users?|people|let|show"
    r"|list|track|lend|loans?))\b.*",
    re.IGNORECASE | re.DOTALL,
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
    own = {each.name: each for each in (*_lent(brief), *_spelled_out(brief))}
    for entity in (*own.values(), *_of_domain(brief, own), *_handled(brief)):
        if len(found) < _MOST_ENTITIES:
            found.setdefault(entity.name, entity)
    domain = {each.name for each in (brief.domain.entities if brief.domain else ())}
    goods = next((name for name in own if name not in domain), None)
    for name, entity in found.items():
        if name in domain and own.get(name) is not entity:
            found[name] = _referring(entity, found, goods)
    if not found:
        found["Item"] = Entity(name="Item", label="item", basis="assumed", fields=_usual_fields())
    return tuple(found.values())


def _spelled_out(brief: Brief) -> Iterator[Entity]:
    """`a book has title, author and year`: at least two fields, or it is no list of fields."""
    for match in (*_HAS_FIELDS.finditer(brief.wanted), *_WITH_FIELDS.finditer(brief.wanted)):
        label = _noun(match[1])
        if match.re is _WITH_FIELDS:
            label = _singular(label)
        listed = _NO_FIELD.sub("", match[2])
        names = [_field(part) for part in re.split(r",|\band\b|\bund\b|&", listed)]
        fields = list({each.name: each for each in names if each}.values())[:_MOST_FIELDS]
        name = class_name(label) if label else None
        if name and len(fields) >= 2:
            yield Entity(name=name, label=label, basis="stated", fields=_with_text(fields))


def _lent(brief: Brief) -> Iterator[Entity]:
    """What a library lends where that is no book: `a tool library`, `borrow tools`."""
    if brief.domain is None or brief.domain.key != "library":
        return
    for match in _LENT.finditer(brief.wanted):
        label = _singular((match[1] or match[2]).lower())
        small = label in _NO_GOODS or label in vocabulary().unit_ends
        if not small and (name := class_name(label)):
            yield Entity(name=name, label=label, basis="stated", fields=_usual_fields())
            return


def _of_domain(brief: Brief, own: dict[str, Entity]) -> Iterator[Entity]:
    """Those the text has a word for; stated where that word is their name.

    A library of tools has no books, unless the text says so.
    """
    known = brief.domain.entities if brief.domain else ()
    named = [each for each in known if brief.wording.find(each.words)]
    for each in named or ([] if own else known[:1]):
        stated = brief.wording.find((_label(each),)) is not None
        if stated or each is not known[0] or not own:
            yield _known(each, stated=stated)


def _referring(entity: Entity, found: dict[str, Entity], goods: str | None) -> Entity:
    """Every reference is to a thing of the project: the text's own, or it is left out."""
    fields: dict[str, Field] = {}
    for field in entity.fields:
        name = field.name
        if name.endswith("_id"):
            target = "".join(part.title() for part in name.removesuffix("_id").split("_"))
            if target not in found:
                if goods in (None, entity.name):
                    continue
                name = f"{snake(str(goods))}_id"
        fields.setdefault(name, Field(name=name, type=field.type))
    return entity.model_copy(update={"fields": _with_text(list(fields.values()))})


def _label(each: KnownEntity) -> str:
    return " ".join(re.findall(r"[A-Z][a-z]+", each.name)).lower()


def _known(each: KnownEntity, *, stated: bool) -> Entity:
    fields = tuple(Field(name=name, type=_KNOWN_TYPES[kind]) for name, kind in each.fields.items())
    basis: Literal["stated", "implied"] = "stated" if stated else "implied"
    return Entity(name=each.name, label=_label(each), basis=basis, fields=fields)


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
    if parts & {"cent", "cents"}:
        return "int"
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
