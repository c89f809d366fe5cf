"""What the rules know of the world: domains, laws, common needs, and what a brief should say."""

from functools import cache

from pydantic import BaseModel, ConfigDict, TypeAdapter

from app.adapters.rules.knowledge_files import knowledge_names, read_knowledge

Words = tuple[str, ...]


class _Known(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KnownActor(_Known):
    name: str
    words: Words
    wants: str


class KnownCapability(_Known):
    key: str
    name: str
    actor: str
    words: Words
    description: str
    benefit: str
    core: bool = False
    """Without it there is no such system."""


class KnownRisk(_Known):
    risk: str
    because: str
    mitigation: str


class KnownQuestion(_Known):
    question: str
    why: str
    unless: Words


class KnownEntity(_Known):
    name: str
    words: Words
    fields: dict[str, str]


class Domain(_Known):
    """One kind of system. One `signature` word shows it; plain `words` only support it."""

    key: str
    title: str
    signature: Words
    words: Words
    actors: tuple[KnownActor, ...]
    capabilities: tuple[KnownCapability, ...]
    risks: tuple[KnownRisk, ...]
    questions: tuple[KnownQuestion, ...]
    entities: tuple[KnownEntity, ...]


class Law(_Known):
    name: str
    words: Words
    demands: tuple[str, ...]
    question: str


class Gap(_Known):
    """Something a brief should say; asked for unless figures, money, a time or words say it."""

    topic: str
    question: str
    why: str
    figures: Words = ()
    money: bool = False
    time: bool = False
    unless: Words = ()


@cache
def domains() -> tuple[Domain, ...]:
    return tuple(Domain.model_validate(read_knowledge(name)) for name in knowledge_names("domains"))


@cache
def concerns() -> tuple[KnownCapability, ...]:
    return TypeAdapter(tuple[KnownCapability, ...]).validate_python(read_knowledge("concerns.yaml"))


@cache
def laws() -> tuple[Law, ...]:
    return TypeAdapter(tuple[Law, ...]).validate_python(read_knowledge("laws.yaml"))


@cache
def gaps() -> tuple[Gap, ...]:
    return TypeAdapter(tuple[Gap, ...]).validate_python(read_knowledge("gaps.yaml"))


@cache
def people() -> Words:
    return TypeAdapter(Words).validate_python(read_knowledge("people.yaml"))


@cache
def software() -> Words:
    return TypeAdapter(Words).validate_python(read_knowledge("software.yaml"))
