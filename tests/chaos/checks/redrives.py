"""A redrive brings back what is dead, and nothing else."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import REDRIVEN, Command, Evidence, Letter, Told
from tests.chaos.findings import Finding, Promise
from tests.chaos.history import Redrive

_DEAD = ("failed", "rejected")


def check_redrives(evidence: Evidence) -> Iterator[Finding]:
    asked: defaultdict[str, set[str]] = defaultdict(set)
    last: dict[str, Redrive] = {}
    for each in evidence.entries(Redrive):
        asked[each.letter_id].add(each.outcome)
        last[each.letter_id] = each
    for each in last.values():
        if each.outcome == "indeterminate":
            says = f"the last of those who asked for {each.letter_id} had no answer ({each.status})"
            yield Finding(Promise.REDRIVEN, says, each.task_id)
    wanted = [each for each in evidence.letters if asked[each.id] - {"refused"}]
    settled = {each.letter_id for each in evidence.settled}
    again = [command for command in evidence.commands if command.redrives]
    for letter in wanted:
        if "accepted" in asked[letter.id]:
            yield from _done(letter, settled, again)
    yield from _uncalled(evidence, wanted, again)


def _done(letter: Letter, settled: set[str], again: list[Command]) -> Iterator[Finding]:
    """What was accepted was sent, and the letter says so."""
    if letter.id not in settled:
        says = f"the redrive of {letter.id} was accepted, and the log does not have it"
        yield Finding(Promise.REDRIVEN, says, letter.task_id)
    if not any(
        command.topic == letter.origin.topic
        and command.redrives == letter.redrives + 1
        and letter.task_id in (None, command.task_id)
        for command in again
    ):
        says = f"the redrive of {letter.id} was accepted, and its message was not sent again"
        yield Finding(Promise.REDRIVEN, says, letter.task_id)


def _uncalled(evidence: Evidence, wanted: list[Letter], again: list[Command]) -> Iterator[Finding]:
    """Nothing comes back that nobody asked for, or that was not dead."""
    deaths = {(letter.task_id, letter.attempts) for letter in wanted}
    comings = {(letter.task_id, letter.redrives + 1) for letter in wanted}
    for told in evidence.told:
        if told.type != REDRIVEN:
            continue
        if (told.task_id, told.attempt) not in deaths:
            says = f"it was redriven after attempt {told.attempt}, and nobody asked for that"
            yield Finding(Promise.REDRIVEN, says, told.task_id)
        if not any(_ended(before, told) for before in evidence.told_of[told.task_id]):
            says = f"it was redriven after attempt {told.attempt}, which had not failed"
            yield Finding(Promise.REDRIVEN, says, told.task_id)
    for command in again:
        if not {(command.task_id, command.redrives), (None, command.redrives)} & comings:
            where = f"{command.topic}/{command.partition}@{command.offset}"
            says = f"{where} was sent again, and nobody asked for that"
            yield Finding(Promise.REDRIVEN, says, command.task_id)


def _ended(before: Told, redriven: Told) -> bool:
    same = before.attempt == redriven.attempt and before.offset < redriven.offset
    return same and before.ending in _DEAD
