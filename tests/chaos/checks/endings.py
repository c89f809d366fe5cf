"""Every accepted task ends once, and log, store and HTTP agree on how."""

from collections.abc import Iterator

from app.domain.model.lifecycle import LEGAL_MOVES, TaskState
from tests.chaos.evidence import Evidence
from tests.chaos.findings import Finding, Promise
from tests.chaos.history import Seen, Submission

_ENDINGS = {state.value for state in TaskState if state.terminal}


def check_endings(evidence: Evidence) -> Iterator[Finding]:
    yield from _missing(evidence)
    yield from _told_alike(evidence)
    yield from _changed(evidence)


def _missing(evidence: Evidence) -> Iterator[Finding]:
    accepted = [
        each.task_id
        for each in evidence.entries(Submission)
        if each.outcome == "accepted" and each.task_id is not None
    ]
    for task_id in dict.fromkeys([*accepted, *evidence.commands_of]):
        if evidence.ending(task_id) is None:
            says = "it was accepted, and the log has no ending"
            yield Finding(Promise.ENDS, says, task_id)


def _told_alike(evidence: Evidence) -> Iterator[Finding]:
    for task_id in dict.fromkeys([*evidence.tasks, *evidence.stored, *evidence.shown]):
        ending = evidence.ending(task_id)
        in_log = ending.ending if ending else None
        stored = evidence.stored.get(task_id)
        shown = evidence.shown.get(task_id)
        states = {"log": in_log, "store": _if_ended(stored)}
        if shown is not None:
            states["HTTP"] = _if_ended(shown.state)
        elif ending is not None:
            states["HTTP"] = None
        if len(set(states.values())) > 1:
            said = ", ".join(f"{where} {state or 'nothing'}" for where, state in states.items())
            yield Finding(Promise.TOLD_ALIKE, f"how it ended: {said}", task_id)
        elif (
            ending is not None
            and shown is not None
            and (shown.attempt, shown.output, shown.error)
            != (ending.attempt, ending.output, ending.error)
        ):
            says = f"HTTP shows the outcome of attempt {shown.attempt}, the log {ending.attempt}'s"
            yield Finding(Promise.TOLD_ALIKE, says, task_id)


def _if_ended(state: str | None) -> str | None:
    return state if state in _ENDINGS else None


def _changed(evidence: Evidence) -> Iterator[Finding]:
    last: dict[str, Seen] = {}
    for seen in sorted(evidence.entries(Seen), key=lambda each: each.at):
        before = last.get(seen.task_id)
        if before is None or before.state == "unknown":
            last[seen.task_id] = seen
        elif seen.began >= before.at:
            last[seen.task_id] = seen
            yield from _move(before, seen, _round(evidence, seen) - _round(evidence, before))


def _round(evidence: Evidence, seen: Seen) -> int:
    """How many redrives a client knew of: one shows as news behind the attempt that had ended."""
    known = evidence.round_of(seen.task_id, seen.attempt)
    reopened = seen.attempt in evidence.reopened.get(seen.task_id, [])
    return known + (reopened and seen.state == "submitted")


def _move(before: Seen, seen: Seen, redriven: int) -> Iterator[Finding]:
    if redriven < 0:
        says = f"a client saw it redriven, and later {seen.state} as before that"
        yield Finding(Promise.STAYS_ENDED, says, seen.task_id)
    elif redriven and seen.state != "unknown":
        return
    elif seen.state == "unknown":
        says = f"a client saw it {before.state}, and later it was not known"
        yield Finding(Promise.STAYS_ENDED, says, seen.task_id)
    elif before.state in _ENDINGS:
        then = (before.state, before.finished_at, before.outcome)
        if then != (seen.state, seen.finished_at, seen.outcome):
            says = f"a client saw it {before.state}, and later {seen.state} with another outcome"
            if before.state != seen.state:
                says = f"a client saw it {before.state}, and later {seen.state}"
            yield Finding(Promise.STAYS_ENDED, says, seen.task_id)
    elif (
        seen.state != before.state
        and TaskState(seen.state) not in LEGAL_MOVES[TaskState(before.state)]
    ):
        says = f"it went from {before.state} to {seen.state}"
        yield Finding(Promise.STAYS_ENDED, says, seen.task_id)
