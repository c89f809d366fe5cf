"""A cancel that was accepted stops the task, unless it has ended first."""

from collections.abc import Iterator

from tests.chaos.evidence import Evidence
from tests.chaos.findings import Finding, Promise
from tests.chaos.history import Cancel
from tests.chaos.timeline import Timeline

GRACE = 5.0
"""Seconds in which a cancel reaches a worker, and the work stops."""


def check_cancels(evidence: Evidence) -> Iterator[Finding]:
    timeline = Timeline.of(evidence)
    for cancel in evidence.entries(Cancel):
        ending = evidence.endings(cancel.task_id)[0]  # the load cancels what is young
        if cancel.outcome != "accepted" or ending is None:
            continue  # no ending at all is found by another check
        pids = {ran.pid for ran in evidence.runs_of.get(cancel.task_id, [])}
        late = timeline.unexcused((cancel.at, ending.at), pids)
        if ending.ending != "canceled" and late > GRACE:
            says = f"canceled, and {ending.ending} {ending.at - cancel.at:.1f} s later"
            yield Finding(Promise.CANCELED, says, cancel.task_id)
    for task_id in evidence.told_of:
        ending = evidence.ending(task_id)
        if ending is None or ending.ending != "canceled":
            continue
        for effect in evidence.effects_of.get(task_id, []):
            if timeline.unexcused((ending.at, effect.at), (effect.pid,)) > GRACE:
                says = f"{effect.step} took effect {effect.at - ending.at:.1f} s after its end"
                yield Finding(Promise.CANCELED, says, task_id)
