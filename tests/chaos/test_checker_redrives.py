"""What the checker makes of tasks that come back from the dead letters, and of a full disk."""

from typing import Any

import pytest

from tests.chaos.checks import check
from tests.chaos.evidence import REDRIVEN, Evidence, Letter, Place, Settled
from tests.chaos.findings import Promise
from tests.chaos.history import FULL, AnyEntry, Away, Cancel, Life, Redrive
from tests.chaos.tales import (
    HISTORY,
    RUNS,
    STARTED,
    TASK,
    command,
    commit,
    ran,
    seen,
    submission,
    tale,
    told,
)

LETTER = Letter(
    at=2.0,
    origin=Place(topic="x.commands.careful", partition=0, offset=0),
    reason="retries-exhausted",
    task_id=TASK,
    id="letter-1",
    attempts=1,
)
ASKED = Redrive(at=10.1, began=10.0, letter_id="letter-1", task_id=TASK, outcome="accepted")
SETTLED = Settled(at=10.1, letter_id="letter-1")
FAILED = told(type="task.failed.v1", ending="failed", output=None, error="flaky: it was to fail")
OPENED = told(offset=2, at=10.0, sequence=3, type=REDRIVEN, ending=None, output=None)
DONE = told(offset=4, at=12.0, attempt=2, output={"run": "r2", "echo": "careful n-1"})
SENT_AGAIN = command(offset=1, at=10.0, attempts=1, redrives=1)
FIRST_RUN = (ran(1.0, "began"), ran(1.9, "stopped"))
SECOND_RUN = (
    ran(11.0, "began", attempt=2, run="r2", pid=11),
    ran(11.9, "ended", attempt=2, run="r2", pid=11),
)
SEEN = (
    seen(2.5, "failed", sequence=2, finished_at="2"),
    seen(10.5, "submitted", sequence=3),
    seen(12.5, "completed", attempt=2, finished_at="12"),
)
REDRIVEN_WELL: tuple[AnyEntry, ...] = (submission(), commit(2.2, 1), *SEEN, ASKED, commit(12.5, 2))


def redriven(**changes: Any) -> Evidence:
    """A task that failed, was redriven, and was completed by its second attempt."""
    parts: dict[str, Any] = {
        "history": REDRIVEN_WELL,
        "runs": [*FIRST_RUN, *SECOND_RUN],
        "commands": [command(), SENT_AGAIN],
        "told": [STARTED, FAILED, OPENED, DONE],
        "letters": [LETTER],
        "settled": [SETTLED],
    }
    parts |= changes
    evidence = tale(**parts)
    shown = evidence.shown[TASK].model_copy(update={"attempt": 2, "output": DONE.output})
    return evidence.model_copy(update={"shown": {TASK: shown}})


def promises(evidence: Evidence) -> set[Promise]:
    return {finding.promise for finding in check(evidence)}


def test_a_task_may_come_back_from_the_dead_letters_and_end_anew() -> None:
    assert check(redriven()) == []


def test_a_redriven_task_without_a_new_ending_is_found() -> None:
    lost = redriven(told=[STARTED, FAILED, OPENED], history=[submission(), *SEEN[:2], ASKED])
    assert Promise.ENDS in promises(lost)


@pytest.mark.parametrize("missing", ["commands", "settled"])
def test_a_redrive_that_was_accepted_and_did_nothing_is_found(missing: str) -> None:
    rest = {"commands": [command()], "settled": []}[missing]
    history = [*REDRIVEN_WELL[:-1]]
    assert promises(redriven(**{missing: rest}, history=history)) == {Promise.REDRIVEN}


@pytest.mark.parametrize("outcome", [None, "refused"])
def test_a_task_that_came_back_though_nobody_may_have_asked_is_found(outcome: str | None) -> None:
    asked = [] if outcome is None else [ASKED.model_copy(update={"outcome": outcome})]
    history = [entry for entry in REDRIVEN_WELL if entry is not ASKED]
    assert promises(redriven(history=[*history, *asked])) == {Promise.REDRIVEN}


def test_a_redrive_that_was_not_answered_is_to_be_asked_for_again() -> None:
    unanswered = ASKED.model_copy(update={"outcome": "indeterminate", "status": 500})
    settled = ASKED.model_copy(update={"outcome": "refused", "status": 409})
    history = [entry for entry in REDRIVEN_WELL if entry is not ASKED]
    assert promises(redriven(history=[*history, unanswered])) == {Promise.REDRIVEN}
    assert check(redriven(history=[*history, unanswered, settled])) == []


def test_a_redrive_of_a_task_that_was_well_is_found() -> None:
    history = [submission(), SEEN[2], ASKED]
    well = redriven(told=[STARTED, OPENED, DONE], history=history)
    assert promises(well) == {Promise.REDRIVEN}


def test_a_redriven_message_that_is_committed_before_its_own_outcome_is_found() -> None:
    early = [entry for entry in REDRIVEN_WELL if entry.at < 12] + [commit(11.0, 2), SEEN[2]]
    assert promises(redriven(history=early)) == {Promise.COMMITTED}


def test_a_redriven_task_that_is_seen_as_it_was_before_is_found() -> None:
    back = seen(13.0, "failed", sequence=2, finished_at="2")
    assert promises(redriven(history=[*REDRIVEN_WELL, back])) == {Promise.STAYS_ENDED}


def test_an_ending_that_changes_without_a_redrive_between_is_found() -> None:
    other = seen(13.0, "failed", attempt=2, finished_at="13")
    assert promises(redriven(history=[*REDRIVEN_WELL, other])) == {Promise.STAYS_ENDED}


@pytest.mark.parametrize(("attempt", "at"), [(1, 5.0), (1, 11.0), (2, 20.0)])
def test_a_run_of_a_round_that_is_over_is_found(attempt: int, at: float) -> None:
    again = [
        ran(at, "began", attempt=attempt, run="r3", pid=12),
        ran(at + 0.1, "ended", attempt=attempt, run="r3", pid=12),
    ]
    found = redriven(runs=[*FIRST_RUN, *SECOND_RUN, *again])
    assert promises(found) == {Promise.NOT_AGAIN}


def test_a_redriven_message_that_was_sent_twice_and_runs_twice_is_found() -> None:
    twice = [command(), SENT_AGAIN, command(offset=2, at=10.1, attempts=1, redrives=1)]
    again = [
        ran(20.0, "began", attempt=2, run="r3", pid=12),
        ran(20.1, "ended", attempt=2, run="r3", pid=12),
    ]
    found = redriven(commands=twice, runs=[*FIRST_RUN, *SECOND_RUN, *again])
    assert promises(found) == {Promise.ONE_RUN}


def test_a_redrive_outlives_a_cancel_that_came_too_late_for_the_run_that_failed() -> None:
    late = Cancel(at=1.9, began=1.8, task_id=TASK, outcome="accepted")
    assert check(redriven(history=[*REDRIVEN_WELL, late])) == []


def test_a_process_that_ends_because_the_store_is_full_is_found() -> None:
    ended = Life(at=5.0, name="projector-1", pid=9, change="ended", code=3, because="by itself")
    full = Away(at=6.0, began=4.0, server="store", how=FULL)
    assert promises(tale([*HISTORY, ended, full], runs=RUNS)) == {Promise.CLEAN}
