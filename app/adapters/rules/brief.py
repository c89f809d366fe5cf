"""A text as the procedures read it: its words, statements, facts and the kind of system it is."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from app.adapters.rules.facts import Fact
from app.adapters.rules.knowledge import Domain, domains, software
from app.adapters.rules.prohibitions import Prohibition, blanked, find_prohibitions
from app.adapters.rules.sentences import Statement, statements
from app.adapters.rules.text_facts import find_facts
from app.adapters.rules.wording import Wording

_LONGEST_TITLE = 80
_CLAUSE_END = re.compile(r"[,.;:!?](?:\s|$)|\s[-\u2013\u2014]\s")
_OPEN_QUESTIONS = re.compile(
    r"(?:\W|\d)*(?:open|unresolved|unanswered|offene)\s+(?:questions?|points?|issues?|fragen|punkte)"
    r"|questions\s*$|fragen\s*$",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"^(?:(?:please|hello|hi|we|i|our company|the client)\b[\s,]*)*"
    r"(?:(?:would like|want|need|plan|are planning|intend|wish|have an idea)\b\s*)?"
    r"(?:to\s+)?"
    r"(?:(?:build|create|develop|design|make|launch|implement|write|set up|analy[sz]e)\b\s*)?"
    r"(?:for\s+)?(?:me\s+)?(?:(?:a|an|the|some)\s+)?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Brief:
    text: str
    wording: Wording
    statements: tuple[Statement, ...]
    facts: tuple[Fact, ...]
    domain: Domain | None
    signs: tuple[str, ...]
    """The words that showed the domain."""
    prohibitions: tuple[Prohibition, ...] = ()

    @cached_property
    def wanted(self) -> str:
        """The text without what it forbids; every place is the same."""
        return blanked(self.text, self.prohibitions)

    @property
    def is_about_software(self) -> bool:
        """Whether a known kind of system or any word of software shows it."""
        known = self.domain is not None
        return known or self.wording.find(software(), forbidden=True) is not None

    @cached_property
    def has_one_amount(self) -> bool:
        """Whether the text names money once."""
        return sum(each.kind == "money" for each in self.facts) == 1

    @cached_property
    def asked(self) -> tuple[Statement, ...]:
        """The items of the text's own list of open questions."""
        found: list[Statement] = []
        below = False
        for each in self.statements:
            if each.is_heading:
                below = bool(_OPEN_QUESTIONS.match(each.text))
            elif below and each.is_item:
                found.append(each)
        return tuple(found)

    def forbids(self, statement: Statement) -> bool:
        """Whether a statement says what must not be, in whatever words."""
        first = bisect_left(self._strong_starts, statement.start)
        end = statement.start + len(statement.text)
        within = first < len(self._strong_starts) and self._strong_starts[first] < end
        return within or statement.start in self._starts

    @cached_property
    def _strong_starts(self) -> list[int]:
        return sorted(each.start for each in self.prohibitions if each.strong)

    @cached_property
    def _starts(self) -> frozenset[int]:
        return frozenset(each.start for each in self.prohibitions)

    @property
    def title(self) -> str:
        """The text's own name for what is wanted: its heading, or how its first sentence begins."""
        first = self.statements[0].text if self.statements else ""
        clause = _CLAUSE_END.split(_OPENING.sub("", first, count=1))[0].strip()
        if not re.search(r"\w{2}", clause):
            clause = first
        if len(clause) > _LONGEST_TITLE:
            clause = clause[:_LONGEST_TITLE].rsplit(" ", 1)[0] + "…"
        return clause[:1].upper() + clause[1:] if clause else "Untitled"

    def around(self, fact: Fact, reach: int = 45) -> str:
        """The words about a fact, up to the ends of its sentence, in lower case."""
        before = re.split(r"[.!?;\n]\s", self.text[max(0, fact.start - reach) : fact.start])[-1]
        after = re.split(r"[.!?;\n]", self.text[fact.end : fact.end + reach])[0]
        return f"{before}\u2063{after}".lower()


def read_brief(text: str) -> Brief:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").strip()

    said = statements(text)
    prohibitions = find_prohibitions(text, said)
    wording = Wording(text, tuple((each.mark_end, each.end) for each in prohibitions))
    domain, signs = _domain(wording)
    return Brief(
        text=text,
        wording=wording,
        statements=said,
        facts=find_facts(text),
        domain=domain,
        signs=signs,
        prohibitions=prohibitions,
    )


def _domain(wording: Wording) -> tuple[Domain | None, tuple[str, ...]]:
    """The best-supported domain: one signature word, or three others."""
    best: tuple[int, Domain | None] = (2, None)
    for domain in domains():
        score = 3 * wording.count(domain.signature) + wording.count(domain.words)
        if score > best[0]:
            best = (score, domain)
    found = best[1]
    if found is None:
        return None, ()
    named = [wording.find((word,)) for word in (*found.signature, *found.words)]
    return found, tuple(dict.fromkeys(word.lower() for word in named if word))
