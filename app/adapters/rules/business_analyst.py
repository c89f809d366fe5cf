"""The business analyst: what a text states, what its domain implies, and what it leaves open."""

from collections.abc import Iterator

from pydantic import JsonValue

from app.adapters.rules import quantity_meanings
from app.adapters.rules.analysis import Analysis, Question, Risk
from app.adapters.rules.brief import Brief, read_brief
from app.adapters.rules.findings import actors, capabilities, constraints, needs, ruled_out
from app.adapters.rules.knowledge import Gap, gaps, laws
from app.adapters.rules.procedure import Draft
from app.adapters.rules.templates import number


def business_analyst(text: str, parameters: dict[str, JsonValue]) -> Draft:
    """An analysis as structured output; `parameters.title` overrides the title."""
    analysis = analyse(read_brief(text), parameters)
    return Draft(output=analysis.model_dump(mode="json"), summary=analysis.summary)


def analyse(brief: Brief, parameters: dict[str, JsonValue]) -> Analysis:
    title = parameters.get("title")
    found = Analysis(
        title=title if isinstance(title, str) and title.strip() else brief.title,
        summary="",
        domain=brief.domain.title if brief.domain else None,
        evidence_for_domain=brief.signs,
        actors=actors(brief),
        capabilities=capabilities(brief),
        ruled_out=ruled_out(brief),
        needs=needs(brief),
        constraints=constraints(brief),
        quantities=quantity_meanings.quantities(brief),
        derived=quantity_meanings.derived(brief),
        risks=tuple(_risks(brief)),
        open_questions=tuple(_questions(brief)),
    )
    return found.model_copy(update={"summary": _summary(found)})


def _summary(found: Analysis) -> str:
    kind = f"Read as a {found.domain}" if found.domain else "No known kind of system"
    stated = sum(each.basis == "stated" for each in found.capabilities)
    parts = (
        _count(len(found.actors), "actor", "actors"),
        f"{_count(len(found.capabilities), 'capability', 'capabilities')} ({stated} stated)",
        _count(len(found.constraints), "named rule", "named rules"),
        _count(len(found.quantities), "quantity", "quantities"),
        _count(len(found.risks), "risk", "risks"),
        _count(len(found.open_questions), "open question", "open questions"),
    )
    return f"{kind}: {', '.join(parts)}."


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _risks(brief: Brief) -> Iterator[Risk]:
    """First what the text's own facts bring, then what its domain is known for."""
    money = quantity_meanings.budget(brief)
    time = quantity_meanings.time_to_launch(brief)
    must = [each for each in capabilities(brief) if each.priority != "could"]
    if time and len(must) >= 6:
        yield Risk(
            risk=f"The scope does not fit into {time.text}",
            because=f"{len(must)} capabilities are stated or indispensable, and the date is fixed",
            mitigation="Agree on a first release that serves one actor end to end; order the rest",
        )
    if time and money is None:
        yield Risk(
            risk="Time is fixed and money is open",
            because=f"the text names {time.text} and no budget",
            mitigation="Settle the budget before the scope",
        )
    for law in constraints(brief):
        yield Risk(
            risk=f"{law.name} is met too late",
            because=f"the text names it; it demands among others {law.demands[0]}",
            mitigation="Make each demand an acceptance criterion from the first release on",
        )
    for level in quantity_meanings.availabilities(brief):
        if (level.value or 0) >= 99.9:
            yield Risk(
                risk=f"{level.text} is promised and cannot be kept or proven",
                because="a level this high leaves no room for manual recovery or planned downtime",
                mitigation="Define how it is measured, automate recovery, except maintenance",
            )
    for risk in brief.domain.risks if brief.domain else ():
        yield Risk(risk=risk.risk, because=risk.because, mitigation=risk.mitigation)


def _questions(brief: Brief) -> Iterator[Question]:
    """What must be cleared up: unclear numbers, then gaps, then the domain's own questions."""
    for asked in brief.asked:
        yield Question(question=asked.text, why="The text asks it itself", topic="asked")
    if brief.domain is None:
        yield Question(
            question="What is it for: who does what with it, and what is better then?",
            why="The text fits no kind of system known here, so nothing could be implied",
            topic="purpose",
        )
    yield from _unclear_numbers(brief)
    for gap in gaps():
        if not _answered(gap, brief):
            yield Question(question=gap.question, why=gap.why, topic=gap.topic)
    for known in brief.domain.questions if brief.domain else ():
        if brief.wording.find(known.unless, forbidden=True) is None:
            yield Question(question=known.question, why=known.why, topic=brief.domain.key)  # type: ignore[union-attr]
    for law in laws():
        if brief.wording.find(law.words, forbidden=True):
            yield Question(question=law.question, why=f"{law.name} applies", topic="law")


def _unclear_numbers(brief: Brief) -> Iterator[Question]:
    for fact in brief.facts:
        meant = quantity_meanings.meaning(fact, brief)
        if fact.ambiguous and fact.kind == "date":
            question = f"Which day is {fact.text!r}: day first or month first?"
            yield Question(question=question, why="It was not used", topic="numbers")
        elif fact.ambiguous and fact.value is not None:
            question = f"Is {fact.text!r} read rightly as {number(fact.value)}?"
            yield Question(question=question, why="A point can also be a comma", topic="numbers")
        elif meant == "not said":
            question = f"What is {fact.text!r} for?"
            yield Question(question=question, why="The text does not say it", topic="numbers")


def _answered(gap: Gap, brief: Brief) -> bool:
    kinds = {fact.kind for fact in brief.facts}
    if gap.money:
        return "money" in kinds
    if gap.time:
        meanings = {quantity_meanings.meaning(fact, brief) for fact in brief.facts}
        return bool(meanings & {"time to launch", "deadline"})
    if gap.figures:
        units = {(fact.unit or "").lower().split(" ")[-1] for fact in brief.facts}
        return bool(units & set(gap.figures))
    return brief.wording.find(gap.unless, forbidden=True) is not None
