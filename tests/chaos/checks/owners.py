"""Who ran a task, and when: never two at once who could know better, never after its ending.

A worker that was paused or cut off cannot know that its task has gone to another; the time it
needs to learn it is not held against it. What it does meanwhile is harmless: see the effects.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from app.domain.model.lifecycle import TaskState
from tests.chaos.evidence import Evidence
from tests.chaos.findings import Finding, Promise
from tests.chaos.history import Seen
from tests.chaos.timeline import FOREVER, Timeline, length_without

HANDOVER = 3.0
"""Seconds in which a worker that stays alive stops what it has just lost."""
LOOKING_UP = 1.0
"""Seconds between a worker's question whether a task has ended, and the run's beginning."""


class Run(NamedTuple):
    began: float
    over: float
    attempt: int
    run: str
    pid: int


def check_owners(evidence: Evidence) -> Iterator[Finding]:
    timeline = Timeline.of(evidence)
    for task_id in evidence.runs_of:
        runs = runs_of(evidence, timeline, task_id)
        yield from _together(timeline, task_id, runs)
    yield from _after_ending(evidence, timeline)


def runs_of(evidence: Evidence, timeline: Timeline, task_id: str) -> list[Run]:
    """The runs of a task from begin to end; one that was cut off ended with its process."""
    notes = evidence.runs_of.get(task_id, [])
    over = {ran.run: ran.at for ran in notes if ran.what != "began"}
    return [
        Run(
            ran.at,
            over.get(ran.run, timeline.ended.get(ran.pid, FOREVER)),
            ran.attempt,
            ran.run,
            ran.pid,
        )
        for ran in notes
        if ran.what == "began"
    ]


def _together(timeline: Timeline, task_id: str, runs: list[Run]) -> Iterator[Finding]:
    for one, other in combinations(runs, 2):
        overlap = (max(one.began, other.began), min(one.over, other.over))
        if timeline.unexcused(overlap, (one.pid, other.pid)) > HANDOVER:
            says = (
                f"runs {one.run} (pid {one.pid}) and {other.run} (pid {other.pid}) "
                f"went on together for {overlap[1] - overlap[0]:.1f} s"
            )
            yield Finding(Promise.ONE_OWNER, says, task_id)


def _after_ending(evidence: Evidence, timeline: Timeline) -> Iterator[Finding]:
    """Once a client has seen the ending, a worker can see it too, before it runs anything."""
    endings = {state.value for state in TaskState if state.terminal}
    seen_ended: defaultdict[str, list[Seen]] = defaultdict(list)
    for seen in evidence.entries(Seen):
        if seen.state in endings:
            seen_ended[seen.task_id].append(seen)
    for task_id, looks in seen_ended.items():
        for run in runs_of(evidence, timeline, task_id):
            number = evidence.round_of(task_id, run.attempt)
            at = min(
                (each.at for each in looks if evidence.round_of(task_id, each.attempt) >= number),
                default=FOREVER,
            )
            awake = length_without((at, run.began), timeline.asleep.get(run.pid, []))
            if awake > LOOKING_UP:
                says = f"run {run.run} began {run.began - at:.1f} s after a client saw it ended"
                sent = sum(
                    evidence.round_of(task_id, command.attempts + 1) == number
                    for command in evidence.commands_of.get(task_id, [])
                )
                promise = Promise.ONE_RUN if sent > 1 else Promise.NOT_AGAIN
                yield Finding(promise, says, task_id)
