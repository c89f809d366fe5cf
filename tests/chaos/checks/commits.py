"""A worker says that a message is done only when its outcome is durable.

Each commit somebody read during the run is held against the log: what it covers must have had its
outcome there by then. So an early acknowledgement is found even where nothing crashed after it.
"""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.evidence import Command, Evidence
from tests.chaos.findings import Finding, Promise
from tests.chaos.history import Commit

_CLOCKS = 0.005
"""Records have milliseconds."""


def check_commits(evidence: Evidence) -> Iterator[Finding]:
    durable = _durable(evidence)
    records: dict[tuple[str, int], dict[int, Command]] = {}
    for command in evidence.commands:
        records.setdefault((command.topic, command.partition), {})[command.offset] = command
    judged: set[tuple[str, int, int]] = set()
    for commit in sorted(evidence.entries(Commit), key=lambda each: each.at):
        shard = records.get((commit.topic, commit.partition), {})
        covered = [offset for offset in shard if offset < commit.position]
        for offset in [*covered, *(each for each in commit.done if each in shard)]:
            place = (commit.topic, commit.partition, offset)
            if place in judged:
                continue
            judged.add(place)
            yield from _judge(shard[offset], commit, durable.get(place))


def _judge(command: Command, commit: Commit, durable: float | None) -> Iterator[Finding]:
    where = f"{command.topic}/{command.partition}@{command.offset}"
    if durable is None:
        yield Finding(Promise.COMMITTED, f"{where} is committed without outcome", command.task_id)
    elif durable > commit.at + _CLOCKS:
        says = f"{where} was committed {durable - commit.at:.3f} s before its outcome was durable"
        yield Finding(Promise.COMMITTED, says, command.task_id)


def _durable(evidence: Evidence) -> dict[tuple[str, int, int], float]:
    """When each command's outcome stood in the log; a tombstone asks for none."""
    buried: dict[tuple[str, int, int], float] = {}
    for letter in evidence.letters:
        origin = (letter.origin.topic, letter.origin.partition, letter.origin.offset)
        buried[origin] = min(letter.at, buried.get(origin, letter.at))
    told: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    for each in evidence.told:
        if each.ending:
            told[each.task_id].append((each.attempt, each.at))
    for waits in evidence.delayed:
        told[waits.task_id].append((waits.attempts + 1, waits.at))
    found = {}
    for command in evidence.commands:
        place = (command.topic, command.partition, command.offset)
        if command.kind == "tombstone":
            found[place] = command.at
        elif command.kind == "unreadable" and place in buried:
            found[place] = buried[place]
        elif command.kind == "task" and command.task_id is not None:
            # what was told before a redrive is no outcome of the message that was sent again
            later = [at for attempt, at in told[command.task_id] if attempt > command.attempts]
            if later:
                found[place] = min(later)
    return found
