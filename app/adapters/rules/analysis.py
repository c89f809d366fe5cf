"""What the business analyst writes down: the shape of its structured output."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.adapters.rules.numerals import Number

Basis = Literal["stated", "implied"]
"""Stated: the text says so. Implied: systems of this kind have it; somebody must confirm."""


class _Finding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Actor(_Finding):
    name: str
    wants: str
    basis: Basis
    evidence: str | None = None


class Capability(_Finding):
    id: str
    key: str
    name: str
    description: str
    actor: str
    story: str
    priority: Literal["must", "should", "could"]
    basis: Basis
    evidence: str | None = None


class Need(_Finding):
    """Something the text asks for, in its own words."""

    id: str
    text: str
    kind: Literal["wish", "obligation", "prohibition", "limit"]


class Constraint(_Finding):
    name: str
    evidence: str
    demands: tuple[str, ...] = ()


class Quantity(_Finding):
    text: str
    kind: Literal["figure", "money", "percentage", "duration", "date"]
    value: Number | None = None
    upper: Number | None = None
    unit: str | None = None
    per: str | None = None
    date: str | None = None
    meaning: str


class Derived(_Finding):
    """Something that follows from the text's own numbers, with the sum shown."""

    statement: str
    arithmetic: str


class Risk(_Finding):
    risk: str
    because: str
    mitigation: str


class Question(_Finding):
    question: str
    why: str
    topic: str


class Analysis(_Finding):
    title: str
    summary: str
    domain: str | None
    evidence_for_domain: tuple[str, ...]
    actors: tuple[Actor, ...]
    capabilities: tuple[Capability, ...]
    ruled_out: tuple[str, ...]
    needs: tuple[Need, ...]
    constraints: tuple[Constraint, ...]
    quantities: tuple[Quantity, ...]
    derived: tuple[Derived, ...]
    risks: tuple[Risk, ...]
    open_questions: tuple[Question, ...]
