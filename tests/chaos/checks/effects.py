"""What agents did to the world: each step once, nothing completed without it."""

from collections import Counter
from collections.abc import Iterator

from pydantic import JsonValue

from tests.chaos.evidence import Evidence, Told
from tests.chaos.findings import Finding, Promise

_STEPS = {"careful": {"reserve", "charge", "ship"}, "flaky": {"try"}}
"""What an agent must have done when its task is completed."""
_LEDGERED = frozenset({"short", "medium", "careful", "blocking", "flaky"})


def check_effects(evidence: Evidence) -> Iterator[Finding]:
    for task_id, effects in evidence.effects_of.items():
        for step, count in Counter(effect.step for effect in effects).items():
            if count > 1:
                says = f"{step} took effect {count} times, under different keys"
                yield Finding(Promise.ONE_EFFECT, says, task_id)
    for task_id in evidence.told_of:
        ending = evidence.ending(task_id)
        if ending is not None and ending.ending == "completed" and ending.agent in _LEDGERED:
            yield from _done(evidence, ending)


def _done(evidence: Evidence, ending: Told) -> Iterator[Finding]:
    """A completed task was really done, by the run that says so, and with its own input."""
    task_id = ending.task_id
    run, echo = _answer(ending.output)
    ended = {ran.run for ran in evidence.runs_of.get(task_id, []) if ran.what == "ended"}
    if run not in ended:
        says = f"it is completed by run {run}, which never ended"
        yield Finding(Promise.ONE_EFFECT, says, task_id)
    texts = {command.text for command in evidence.commands_of.get(task_id, [])}
    if texts and echo not in texts:
        yield Finding(Promise.ONE_EFFECT, f"its result is that of another task: {echo!r}", task_id)
    done = {effect.step for effect in evidence.effects_of.get(task_id, [])}
    if missing := _STEPS.get(ending.agent, set()) - done:
        says = f"it is completed, and {', '.join(sorted(missing))} never took effect"
        yield Finding(Promise.ONE_EFFECT, says, task_id)


def _answer(output: JsonValue) -> tuple[JsonValue, JsonValue]:
    return (output.get("run"), output.get("echo")) if isinstance(output, dict) else (None, None)
