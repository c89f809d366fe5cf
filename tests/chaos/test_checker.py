"""The checker finds each broken promise in a history made by hand, and nothing in a good one."""

from typing import Any

import pytest

from tests.chaos.checks import check
from tests.chaos.evidence import Delayed, Evidence, Letter, Place
from tests.chaos.findings import Promise
from tests.chaos.history import Away, Cancel, Gauge, Life, Poison, Quiet
from tests.chaos.tales import (
    HISTORY,
    OTHER,
    RUNS,
    STARTED,
    STEPS,
    TASK,
    command,
    commit,
    effect,
    ran,
    seen,
    shown,
    submission,
    tale,
    told,
)
from tests.chaos.timeline import length_without

AGAIN = [ran(20.0, "began", run="r2", pid=11), ran(21.0, "ended", run="r2", pid=11)]
LETTER = Letter(
    at=1.0,
    origin=Place(topic="x.commands.careful", partition=0, offset=1),
    reason="undecodable",
    task_id=None,
)
UNREADABLE = command(offset=1, kind="unreadable", task_id=None, submission=None)
POISON = Poison(
    at=0.2, kind="half a task", topic="x.commands.careful", partition=0, offset=1, dead=True
)


def promises(evidence: Evidence) -> set[Promise]:
    return {finding.promise for finding in check(evidence)}


def test_nothing_is_found_where_all_went_well() -> None:
    assert check(tale()) == []


def test_a_run_without_any_task_has_no_findings() -> None:
    assert check(Evidence()) == []


def test_an_accepted_task_without_an_ending_is_found() -> None:
    lost = tale(HISTORY[:3], told=[STARTED], shown={TASK: shown(state="working")}, stored={})
    assert promises(lost) == {Promise.ENDS}


def test_an_accepted_task_the_log_never_had_is_found() -> None:
    lost = tale([submission()], commands=[], told=[], shown={}, stored={}, runs=(), effects=())
    assert promises(lost) == {Promise.ENDS, Promise.ONE_TASK}


def test_an_ending_that_changes_its_state_is_found() -> None:
    assert promises(tale([*HISTORY, seen(3.0, "failed")])) == {Promise.STAYS_ENDED}


def test_an_ending_that_changes_its_result_is_found() -> None:
    other = seen(3.0, "completed", outcome={"run": "r2"})
    assert promises(tale([*HISTORY, other])) == {Promise.STAYS_ENDED}


def test_a_task_that_was_known_and_is_not_any_more_is_found() -> None:
    assert promises(tale([*HISTORY, seen(3.0, "unknown")])) == {Promise.STAYS_ENDED}


def test_a_move_the_life_of_a_task_does_not_have_is_found() -> None:
    back = seen(1.5, "submitted", sequence=2)
    assert Promise.STAYS_ENDED in promises(tale([*HISTORY[:3], back, *HISTORY[3:]]))


@pytest.mark.parametrize(
    "changes",
    [
        {"shown": {TASK: shown(state="failed")}},
        {"shown": {}},
        {"shown": {TASK: shown(output={"run": "r9"})}},
        {"stored": {TASK: "working"}},
        {"stored": {}},
        {"stored": {TASK: "completed", OTHER: "completed"}},
    ],
)
def test_log_store_and_http_that_tell_differently_are_found(changes: dict[str, Any]) -> None:
    assert promises(tale(**changes)) == {Promise.TOLD_ALIKE}


def test_a_step_that_took_effect_twice_is_found() -> None:
    twice = tale(effects=[*STEPS, effect("charge", key="another key")])
    assert promises(twice) == {Promise.ONE_EFFECT}


def test_a_completed_task_whose_effect_is_missing_is_found() -> None:
    assert promises(tale(effects=STEPS[:2])) == {Promise.ONE_EFFECT}


def test_a_result_no_run_came_to_is_found() -> None:
    assert promises(tale(runs=[ran(1.0, "began"), ran(1.9, "stopped")])) == {Promise.ONE_EFFECT}


def test_a_result_that_belongs_to_another_task_is_found() -> None:
    assert promises(tale(commands=[command(text="careful n-7")])) == {Promise.ONE_EFFECT}


def test_two_live_workers_with_one_task_are_found() -> None:
    second = [ran(1.5, "began", run="r2", pid=11), ran(9.0, "ended", run="r2", pid=11)]
    first = [ran(1.0, "began"), ran(8.0, "ended")]
    assert Promise.ONE_OWNER in promises(tale(HISTORY[:3], runs=[*first, *second]))


def test_a_paused_worker_may_go_on_until_it_learns_what_it_missed() -> None:
    paused = [
        Life(at=1.4, name="worker-1", pid=10, change="paused"),
        Life(at=10.4, name="worker-1", pid=10, change="resumed"),
    ]
    second = [ran(1.5, "began", run="r2", pid=11), ran(1.6, "ended", run="r2", pid=11)]
    first = [ran(1.0, "began"), ran(11.0, "ended")]
    assert check(tale([*HISTORY, *paused], runs=[*first, *second])) == []


def test_a_run_that_was_cut_off_ends_with_its_process() -> None:
    killed = Life(at=1.4, name="worker-2", pid=11, change="ended", because="killed")
    cut_off = ran(1.2, "began", run="r2", pid=11)
    assert check(tale([*HISTORY, killed], runs=[*RUNS, cut_off])) == []


def test_a_task_that_runs_again_after_a_client_saw_it_ended_is_found() -> None:
    assert promises(tale(runs=[*RUNS, *AGAIN])) == {Promise.NOT_AGAIN}


def test_a_task_that_was_sent_twice_and_runs_again_is_found() -> None:
    sent_twice = [command(), command(offset=1, at=19.0)]
    assert promises(tale(commands=sent_twice, runs=[*RUNS, *AGAIN])) == {Promise.ONE_RUN}


def test_one_request_that_became_two_tasks_is_found() -> None:
    twice = tale(commands=[command(), command(offset=1, task_id=OTHER)])
    assert Promise.ONE_TASK in promises(twice)


def test_a_refused_request_that_became_a_task_is_found() -> None:
    refused = submission(outcome="refused", task_id=None, status=422)
    assert promises(tale([refused, *HISTORY[1:]])) == {Promise.ONE_TASK}


def test_an_indeterminate_request_may_be_a_task_or_none() -> None:
    unanswered = submission(outcome="indeterminate", task_id=None)
    assert check(tale([unanswered, *HISTORY[1:]])) == []
    assert check(Evidence(history=[unanswered])) == []


def test_a_cancel_that_was_accepted_and_did_nothing_is_found() -> None:
    cancel = Cancel(at=1.0, began=0.9, task_id=TASK, outcome="accepted")
    late = tale([*HISTORY[:3], cancel], told=[STARTED, told(at=9.0)])
    assert promises(late) == {Promise.CANCELED}


def test_a_task_that_ended_before_its_cancel_arrived_is_no_finding() -> None:
    cancel = Cancel(at=1.9, began=1.8, task_id=TASK, outcome="accepted")
    assert check(tale([*HISTORY, cancel])) == []


def test_an_effect_of_a_canceled_task_is_found() -> None:
    canceled = told(type="task.canceled.v1", ending="canceled", output=None)
    found = promises(
        tale(
            HISTORY[:3],
            told=[STARTED, canceled],
            shown={TASK: shown(state="canceled", output=None)},
            stored={TASK: "canceled"},
            effects=[effect("ship", at=9.0)],
        )
    )
    assert found == {Promise.CANCELED}


def test_a_commit_before_the_outcome_is_durable_is_found() -> None:
    assert promises(tale([*HISTORY[:4], commit(1.5, 1)])) == {Promise.COMMITTED}


def test_a_commit_without_any_outcome_is_found() -> None:
    early = tale([submission(), commit(1.5, 1)], told=[STARTED], shown={}, stored={})
    assert promises(early) == {Promise.ENDS, Promise.COMMITTED}


def test_a_task_that_waits_in_the_delays_may_be_committed() -> None:
    delayed = [Delayed(at=1.4, task_id=TASK)]
    assert check(tale([*HISTORY[:4], commit(1.5, 1)], delayed=delayed)) == []


def test_a_message_that_vanished_is_found() -> None:
    assert promises(tale(commands=[command(), UNREADABLE])) == {Promise.CONSERVED}
    assert check(tale(commands=[command(), UNREADABLE], letters=[LETTER])) == []


def test_a_dead_letter_of_a_message_nobody_sent_is_found() -> None:
    assert promises(tale(letters=[LETTER])) == {Promise.CONSERVED}


def test_poison_that_did_not_become_a_dead_letter_is_found() -> None:
    assert promises(tale([*HISTORY, POISON])) == {Promise.CONSERVED}


def test_views_that_differ_when_built_anew_are_found() -> None:
    assert promises(tale(rebuilt="3 rows differ")) == {Promise.REBUILT}


def test_news_that_go_back_are_found() -> None:
    newer = seen(1.2, "working", attempt=2, sequence=1)
    older = seen(1.3, "working", attempt=1, sequence=3)
    assert promises(tale([submission(), newer, older])) == {Promise.ORDERED}


def test_a_conversation_out_of_order_is_found() -> None:
    talk = [
        command(context_id="talk"),
        command(context_id="talk", offset=1, task_id=OTHER, submission="n-2"),
    ]
    early = [ran(1.5, "began", task_id=OTHER, run="r2"), ran(1.6, "ended", task_id=OTHER)]
    assert Promise.ORDERED in promises(tale(commands=talk, runs=[*RUNS, *early]))


@pytest.mark.parametrize(
    "entry",
    [
        Quiet(waited=60, lag={"x.commands.careful/0": 3}),
        Quiet(waited=1, lag={}, left=(4711,)),
        Life(name="worker-1", pid=10, change="ended", code=1, because="by itself"),
        Life(name="worker-1", pid=10, change="ended", code=-9, because="asked"),
    ],
)
def test_what_is_left_behind_is_found(entry: Quiet | Life) -> None:
    assert promises(tale((*HISTORY, entry))) == {Promise.CLEAN}


def test_a_process_may_end_while_its_servers_are_away() -> None:
    ended = Life(at=5.0, name="worker-1", pid=10, change="ended", code=3, because="by itself")
    away = Away(at=6.0, began=4.0, server="kafka", how="crashed")
    assert check(tale([*HISTORY, ended, away])) == []


def test_a_heap_of_open_files_is_found() -> None:
    few = Gauge(name="worker-1", pid=10, files=30, threads=8)
    many = Gauge(name="worker-1", pid=10, files=300, threads=8)
    assert promises(tale([*HISTORY, few, many])) == {Promise.CLEAN}


def test_a_finding_tells_the_whole_story_of_its_task() -> None:
    evidence = tale([*HISTORY, seen(3.0, "failed")])
    story = check(evidence)[0].told(evidence)
    for witness in ("submitted", "command", "told", "ledger", "seen"):
        assert witness in story


@pytest.mark.parametrize(
    ("others", "left"),
    [([], 10), ([(2, 4)], 8), ([(2, 4), (3, 5)], 7), ([(-5, 20)], 0), ([(9, 30), (-9, 1)], 8)],
)
def test_excuses_count_once(others: list[tuple[float, float]], left: float) -> None:
    assert length_without((0, 10), others) == left
