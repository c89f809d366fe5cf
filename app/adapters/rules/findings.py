"""Finds actors, capabilities, needs and constraints in a brief, each with its evidence."""

import re
from collections.abc import Iterator

from app.adapters.rules.analysis import Actor, Basis, Capability, Constraint, Need
from app.adapters.rules.brief import Brief
from app.adapters.rules.knowledge import KnownCapability, concerns, laws, people
from app.adapters.rules.text_facts import constraint_kind
from app.adapters.rules.vocabulary import vocabulary

_WISH = re.compile(
    r"\b(?:wants?|would like|should|needs?|can|could|able to|allows?|lets?|enables?|supports?"
    r"|soll|sollen|können|kann|möchten|brauchen|wollen)\b",
    re.IGNORECASE,
)
# fmt: off
_NO_MODIFIERS = frozenset((
    "our", "their", "its", "new", "other", "many", "few", "several", "such", "same", "more",
    "only", "also", "where", "when", "need", "let", "lets", "help", "helps", "active", "first",
    "registered", "potential", "existing", "end", "most", "between", "good", "small", "large",
))
# fmt: on
_LONGEST_NEED = 400
_MOST_NEEDS = 60


def actors(brief: Brief) -> tuple[Actor, ...]:
    """Those the domain has, stated or implied; in an unknown domain those the text names."""
    known = brief.domain.actors if brief.domain else ()
    found: dict[str, Actor] = {}
    for actor in known:
        evidence = brief.wording.find(actor.words)
        found[actor.name] = Actor(
            name=actor.name, wants=actor.wants, basis=_basis(evidence), evidence=evidence
        )
    covered = {word for actor in known for word in actor.words}
    if known:
        covered |= {"user", "people"}  # too general beside the domain's own actors
    for name, evidence in _people(brief):
        if name.lower().split(" ")[-1] not in covered and name not in found and len(found) < 9:
            found[name] = Actor(
                name=name, wants="not said: ask them", basis="stated", evidence=evidence
            )
    return tuple(sorted(found.values(), key=lambda actor: actor.basis == "implied"))


def capabilities(brief: Brief) -> tuple[Capability, ...]:
    """Stated ones must be there; what the domain cannot do without should; the rest could."""
    known: dict[str, KnownCapability] = {}
    for capability in (*(brief.domain.capabilities if brief.domain else ()), *concerns()):
        known.setdefault(capability.key, capability)
    of_domain = {each.key for each in (brief.domain.capabilities if brief.domain else ())}
    chosen: list[tuple[KnownCapability, str | None]] = []
    claimed: set[str] = set()  # words a capability of the domain already stands for
    for capability in known.values():
        evidence = brief.wording.find(capability.words)
        if capability.key in of_domain:
            if evidence is None and _unwanted(capability, brief):
                continue
            claimed.add((evidence or "").lower())
        elif evidence is None or evidence.lower() in claimed:
            continue
        chosen.append((capability, evidence))
    ranked = sorted(chosen, key=lambda each: (each[1] is None, not each[0].core))
    return tuple(
        Capability(
            id=f"C{position}",
            key=each.key,
            name=each.name,
            description=each.description,
            actor=each.actor,
            story=f"As {_article(each.actor)} I need {_lower(each.name)} "
            f"({_lower(each.description)}), so that {each.benefit}.",
            priority="must" if evidence else "should" if each.core else "could",
            basis=_basis(evidence),
            evidence=evidence,
        )
        for position, (each, evidence) in enumerate(ranked, start=1)
    )


def _unwanted(capability: KnownCapability, brief: Brief) -> bool:
    """`Store no cards` does not end a shop's payment; what is not its core is left out."""
    wording, words = brief.wording, capability.words
    return wording.rules_out(words) or (not capability.core and wording.forbids(words))


def ruled_out(brief: Brief) -> tuple[str, ...]:
    """Capabilities the text names to say that they are not wanted."""
    known = (*(brief.domain.capabilities if brief.domain else ()), *concerns())
    names = (each.name for each in known if brief.wording.rules_out(each.words))
    return tuple(dict.fromkeys(names))


def needs(brief: Brief) -> tuple[Need, ...]:
    """What the text asks for in its own words: its binding sentences, wishes and list items."""
    found: list[Need] = []
    seen: set[str] = set()
    asked = frozenset(brief.asked)
    for statement in brief.statements:
        if statement.is_heading or statement.text in seen or statement in asked:
            continue
        kind = "prohibition" if brief.forbids(statement) else constraint_kind(statement.text)
        wished = statement.is_item or _WISH.search(statement.text)
        if kind is None and not wished:
            continue
        seen.add(statement.text)
        text = statement.text
        if len(text) > _LONGEST_NEED:
            text = text[:_LONGEST_NEED].rsplit(" ", 1)[0] + " …"
        found.append(Need(id=f"N{len(found) + 1}", text=text, kind=kind or "wish"))
        if len(found) == _MOST_NEEDS:
            break
    return tuple(found)


def constraints(brief: Brief) -> tuple[Constraint, ...]:
    """The laws and standards the text names, with what each demands."""
    found = ((law, brief.wording.find(law.words, forbidden=True)) for law in laws())
    return tuple(
        Constraint(name=law.name, evidence=_with_version(evidence, brief.text), demands=law.demands)
        for law, evidence in found
        if evidence
    )


def _with_version(evidence: str, text: str) -> str:
    """`WCAG 2.1 AA` where the text says so, not only `WCAG`."""
    found = re.search(rf"{re.escape(evidence)}\s\d(?:\.\d{{1,2}})?(?:\sA{{1,3}}\b)?", text)
    return found[0] if found else evidence


def _people(brief: Brief) -> Iterator[tuple[str, str]]:
    """Words for people with the word before them: `dog owners`, `warehouse manager`."""
    pattern = _people_pattern()
    not_modifiers = vocabulary().unit_ends | _NO_MODIFIERS | set(vocabulary().words)
    seen: set[str] = set()
    for match in pattern.finditer(brief.wanted):
        modifier, word = match[1] or "", match[2]
        small = modifier.lower() in not_modifiers
        name = word.lower() if small or not modifier else f"{modifier} {word}".lower()
        if word.lower() not in seen:
            seen.add(word.lower())
            yield name[:1].upper() + name[1:], match[0].strip()


def _people_pattern() -> re.Pattern[str]:
    words = "|".join(sorted(people(), key=lambda word: (-len(word), word)))
    return re.compile(rf"(?:\b([^\W\d_]{{3,}})\s)?\b({words})(?:s|n|en)?\b", re.IGNORECASE)


def _basis(evidence: str | None) -> Basis:
    return "stated" if evidence else "implied"


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeio' else 'a'} {_lower(noun)}"


def _lower(name: str) -> str:
    return name if name[:2].isupper() else name[:1].lower() + name[1:]
