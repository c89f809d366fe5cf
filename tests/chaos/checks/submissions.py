"""One request is one task, and every message on a command topic has an outcome."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import Evidence, Place
from tests.chaos.findings import Finding, Promise
from tests.chaos.history import Poison, Submission


def check_submissions(evidence: Evidence) -> Iterator[Finding]:
    yield from _one_each(evidence)
    yield from _outcomes(evidence)
    yield from _poison(evidence)


def _one_each(evidence: Evidence) -> Iterator[Finding]:
    made: defaultdict[str, set[str]] = defaultdict(set)
    for command in evidence.commands:
        if command.submission is not None and command.task_id is not None:
            made[command.submission].add(command.task_id)
    outcomes: defaultdict[str, set[str]] = defaultdict(set)
    for each in evidence.entries(Submission):
        outcomes[each.name].add(each.outcome)
        if each.outcome == "accepted" and each.task_id not in made[each.name]:
            says = f"{each.name} was accepted, and the log has no command of it"
            yield Finding(Promise.ONE_TASK, says, each.task_id)
    for name, ids in made.items():
        if len(ids) > 1:
            says = f"{name} became {len(ids)} tasks: {', '.join(sorted(ids))}"
            yield Finding(Promise.ONE_TASK, says, min(ids))
        if ids and outcomes[name] == {"refused"}:
            says = f"{name} was refused, and became a task all the same"
            yield Finding(Promise.ONE_TASK, says, min(ids))


def _outcomes(evidence: Evidence) -> Iterator[Finding]:
    """Nothing that stands on a command topic may vanish: it is done, or dead with a reason."""
    dead = {_place(letter.origin) for letter in evidence.letters}
    for command in evidence.commands:
        if command.kind == "unreadable" and _place(command) not in dead:
            where = f"{command.topic}/{command.partition}@{command.offset}"
            says = f"{where} is no task, and lies among no dead letters"
            yield Finding(Promise.CONSERVED, says, command.task_id)
    there = {_place(command) for command in evidence.commands}
    for letter in evidence.letters:
        if _place(letter.origin) not in there:
            says = f"a dead letter has an origin that does not exist: {letter.origin}"
            yield Finding(Promise.CONSERVED, says, letter.task_id)


def _poison(evidence: Evidence) -> Iterator[Finding]:
    dead = {_place(letter.origin) for letter in evidence.letters}
    for each in evidence.entries(Poison):
        if each.dead and (each.topic, each.partition, each.offset) not in dead:
            where = f"{each.topic}/{each.partition}@{each.offset}"
            says = f"{each.kind} at {where} lies among no dead letters"
            yield Finding(Promise.CONSERVED, says)


def _place(place: Place) -> tuple[str, int, int]:
    return place.topic, place.partition, place.offset
