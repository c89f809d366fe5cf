"""Everything one task went through, from every witness, in the order of time."""

from collections.abc import Iterator

from tests.chaos.evidence import Evidence
from tests.chaos.history import Away, Cancel, Fault, Life, Redrive, Seen, Submission

_BEFORE, _AFTER = 2.0, 5.0
"""Seconds around a task's life in which faults belong to its story."""

Line = tuple[float, str]


def story(evidence: Evidence, task_id: str) -> list[str]:
    own = sorted(_own(evidence, task_id))
    if not own:
        return ["nobody has heard of it"]
    first, last = own[0][0] - _BEFORE, own[-1][0] + _AFTER
    around = [line for line in _around(evidence) if first <= line[0] <= last]
    return [f"{at - own[0][0]:+9.3f} s  {said}" for at, said in sorted(own + around)]


def _own(evidence: Evidence, task_id: str) -> Iterator[Line]:
    yield from _asked(evidence, task_id)
    yield from _logged(evidence, task_id)
    for run in evidence.runs_of.get(task_id, []):
        yield run.at, f"ledger   {run.what} attempt {run.attempt}, run {run.run} in pid {run.pid}"
    for effect in evidence.effects_of.get(task_id, []):
        yield effect.at, f"ledger   effect {effect.step} by run {effect.run} under {effect.key}"


def _asked(evidence: Evidence, task_id: str) -> Iterator[Line]:
    names = {command.submission for command in evidence.commands_of.get(task_id, [])}
    for entry in evidence.history:
        if isinstance(entry, Submission) and (entry.task_id == task_id or entry.name in names):
            said = f"submitted ({entry.how}, {entry.tries} tries) as {entry.name}: {entry.outcome}"
            yield entry.began, f"{said} after {entry.at - entry.began:.3f} s"
        elif isinstance(entry, Seen) and entry.task_id == task_id:
            yield entry.at, f"seen     {entry.state} {entry.attempt}.{entry.sequence}"
        elif isinstance(entry, Cancel) and entry.task_id == task_id:
            yield entry.at, f"cancel   {entry.outcome} ({entry.status})"
        elif isinstance(entry, Redrive) and entry.task_id == task_id:
            said = f"redrive  of {entry.letter_id}: {entry.outcome} ({entry.status})"
            yield entry.at, f"{said} after {entry.at - entry.began:.3f} s"


def _logged(evidence: Evidence, task_id: str) -> Iterator[Line]:
    for command in evidence.commands_of.get(task_id, []):
        where = f"{command.topic}/{command.partition}@{command.offset}"
        yield (
            command.at,
            f"command  {where}" + f", redrive {command.redrives}" * bool(command.redrives),
        )
    for told in evidence.told_of.get(task_id, []):
        what = f"{told.type} {told.attempt}.{told.sequence} of {told.worker_id}"
        yield told.at, f"told     {what} at {told.partition}@{told.offset}"
    for letter in evidence.letters:
        if letter.task_id == task_id:
            said = f"{letter.reason} after {letter.attempts}, from {letter.origin.offset}"
            yield letter.at, f"dead     {said}, letter {letter.id}"


def _around(evidence: Evidence) -> Iterator[Line]:
    for entry in evidence.history:
        if isinstance(entry, Fault):
            yield entry.at, f"------   {entry.kind} of {entry.target} {entry.phase} {entry.detail}"
        elif isinstance(entry, Life):
            yield entry.at, f"------   {entry.name} ({entry.pid}) {entry.change}"
        elif isinstance(entry, Away):
            lasted = entry.at - entry.began
            yield entry.began, f"------   {entry.server} {entry.how} for {lasted:.1f} s"
