"""Hand-made evidence for the checker's own tests: one task for which all went well, and changes."""

from collections.abc import Iterable
from typing import Any

from tests.chaos.evidence import Command, Evidence, Shown, Told
from tests.chaos.history import AnyEntry, Commit, Seen, Submission
from tests.chaos.ledger import Effect, Ledger, Ran

TASK = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
RESULT = {"run": "r1", "echo": "careful n-1"}


def submission(**changes: Any) -> Submission:
    given = {"name": "n-1", "how": "rest", "agent": "careful", "began": 0.0, "at": 0.1}
    return Submission.model_validate(
        {**given, "outcome": "accepted", "task_id": TASK, "status": 202, **changes}
    )


def command(**changes: Any) -> Command:
    given = {"topic": "x.commands.careful", "partition": 0, "offset": 0, "at": 0.05, "key": TASK}
    told = {"kind": "task", "task_id": TASK, "submission": "n-1", "text": "careful n-1"}
    return Command.model_validate({**given, **told, "agent": "careful", **changes})


def told(**changes: Any) -> Told:
    given = {"topic": "x.results", "partition": 0, "offset": 1, "at": 2.0, "agent": "careful"}
    run = {"task_id": TASK, "attempt": 1, "sequence": 2, "worker_id": "w-1"}
    what = {"type": "task.completed.v1", "ending": "completed", "output": RESULT}
    return Told.model_validate({**given, **run, **what, **changes})


def seen(at: float, state: str, **changes: Any) -> Seen:
    given: dict[str, Any] = {"task_id": TASK, "where": "g", "began": at - 0.01, "attempt": 1}
    if state == "completed":
        given |= {"sequence": 2, "finished_at": "2", "outcome": RESULT}
    return Seen.model_validate({**given, "at": at, "state": state, **changes})


def ran(at: float, what: str, **changes: Any) -> Ran:
    given = {"task_id": TASK, "agent": "careful", "attempt": 1, "run": "r1", "pid": 10}
    return Ran.model_validate({**given, "at": at, "what": what, **changes})


def effect(step: str, **changes: Any) -> Effect:
    given = {"task_id": TASK, "key": f"key-{step}", "attempt": 1, "run": "r1", "pid": 10}
    return Effect.model_validate({**given, "at": 1.5, "step": step, **changes})


def commit(at: float, position: int) -> Commit:
    return Commit(at=at, topic="x.commands.careful", partition=0, position=position)


def shown(**changes: Any) -> Shown:
    given = {"task_id": TASK, "state": "completed", "attempt": 1, "output": RESULT}
    return Shown.model_validate({**given, **changes})


STEPS = (effect("reserve"), effect("charge"), effect("ship"))
RUNS = (ran(1.0, "began"), ran(1.9, "ended"))
HISTORY: tuple[AnyEntry, ...] = (
    submission(),
    seen(0.5, "submitted", attempt=0),
    seen(1.2, "working", sequence=1),
    seen(2.5, "completed"),
    commit(0.5, 0),
    commit(2.2, 1),
)
STARTED = told(offset=0, at=1.0, sequence=1, type="task.started.v1", ending=None, output=None)


def tale(
    history: Iterable[AnyEntry] = HISTORY,
    runs: Iterable[Ran] = RUNS,
    effects: Iterable[Effect] = STEPS,
    **changes: Any,
) -> Evidence:
    """The evidence of one task for which all went well, but for what is changed."""
    parts = {
        "commands": [command()],
        "told": [STARTED, told()],
        "shown": {TASK: shown()},
        "stored": {TASK: "completed"},
    }
    ledger = Ledger(runs=tuple(runs), effects=tuple(effects))
    return Evidence(history=list(history), ledger=ledger, **{**parts, **changes})
