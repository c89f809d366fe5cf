"""The table of moves says what it should about every pair of states."""

import pytest

from app.domain.model.lifecycle import LEGAL_MOVES, TaskState, may_move

ENDINGS = [TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELED, TaskState.REJECTED]
LIVING = [TaskState.SUBMITTED, TaskState.WORKING, TaskState.INPUT_REQUIRED]


def test_every_state_stands_in_the_table() -> None:
    assert set(LEGAL_MOVES) == set(TaskState) == {*ENDINGS, *LIVING}


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ended_task_never_moves(ending: TaskState) -> None:
    assert ending.terminal
    assert not any(may_move(ending, following) for following in TaskState)


@pytest.mark.parametrize("living", LIVING)
def test_a_living_task_may_end_in_every_way(living: TaskState) -> None:
    assert not living.terminal
    assert all(may_move(living, ending) for ending in ENDINGS)


def test_a_task_asks_only_while_it_runs() -> None:
    asking = {state for state in TaskState if may_move(state, TaskState.INPUT_REQUIRED)}
    assert asking == {TaskState.WORKING, TaskState.INPUT_REQUIRED}


def test_an_answered_task_works_on() -> None:
    assert may_move(TaskState.INPUT_REQUIRED, TaskState.WORKING)


def test_a_task_is_submitted_once() -> None:
    assert not any(may_move(state, TaskState.SUBMITTED) for state in TaskState)
