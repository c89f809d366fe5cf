"""What has an order keeps it: news of one task, and the tasks of one conversation."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from app.domain.model.lifecycle import TaskState
from tests.chaos.evidence import Command, Evidence
from tests.chaos.findings import Finding, Promise
from tests.chaos.history import Seen

_CLOCKS = 0.01
_ENDINGS = {state.value for state in TaskState if state.terminal}


def check_order(evidence: Evidence) -> Iterator[Finding]:
    yield from _news(evidence)
    yield from _conversations(evidence)
    if evidence.rebuilt is not None:
        yield Finding(Promise.REBUILT, evidence.rebuilt)


def _news(evidence: Evidence) -> Iterator[Finding]:
    """Nobody who has read of attempt 2 reads of attempt 1 later, unless that one had ended it."""
    last: dict[str, Seen] = {}
    for seen in sorted(evidence.entries(Seen), key=lambda each: each.at):
        before = last.get(seen.task_id)
        if seen.state in _ENDINGS or seen.state == "unknown":
            continue
        if before is not None and seen.began < before.at:
            continue
        last[seen.task_id] = seen
        if before and (seen.attempt, seen.sequence) < (before.attempt, before.sequence):
            says = f"{seen.attempt}.{seen.sequence} was seen after "
            says += f"{before.attempt}.{before.sequence}"
            yield Finding(Promise.ORDERED, says, seen.task_id)


def _conversations(evidence: Evidence) -> Iterator[Finding]:
    """A conversation's next task first began after the one before it had ended."""
    talks: defaultdict[tuple[str, int, str], list[Command]] = defaultdict(list)
    for command in sorted(evidence.commands, key=lambda each: each.offset):
        if command.context_id is not None and command.kind == "task":
            talks[command.topic, command.partition, command.context_id].append(command)
    for talk in talks.values():
        first_of: dict[str, Command] = {}
        for command in talk:
            if command.task_id is not None:
                first_of.setdefault(command.task_id, command)
        for earlier, later in pairwise(first_of):
            began = min((run.at for run in evidence.runs_of.get(later, [])), default=None)
            ending = evidence.endings(earlier)[0]  # a redrive comes when it comes
            if began is not None and ending is not None and ending.at > began + _CLOCKS:
                says = f"it began {ending.at - began:.3f} s before {earlier} had ended"
                yield Finding(Promise.ORDERED, says, later)
