"""Whatever workers report, in whatever order it is heard, people see one consistent task."""

from collections.abc import Iterator
from itertools import pairwise, permutations

from hypothesis import given
from hypothesis import strategies as st

from app.domain.model.events import ResultEvent, TerminalEvent, Usage
from app.domain.model.lifecycle import Reason, TaskState, may_move
from app.domain.model.progress import Progress, fold
from app.domain.model.task import Task, describe
from tests.builders import (
    TRACEPARENT,
    at,
    canceled,
    canceling,
    completed,
    failed,
    input_required,
    progressed,
    redriven,
    rejected,
    retry_scheduled,
    started,
    submitted,
)

Log = list[tuple[ResultEvent, int]]
"""Events with their offsets, in log order."""

usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 100),
    output_tokens=st.integers(0, 100),
    model_calls=st.integers(0, 9),
    tool_calls=st.integers(0, 9),
    cost_usd=st.none() | st.integers(0, 8).map(lambda eighths: eighths / 8),
)
moments = st.integers(0, 1_000).map(lambda tenths: tenths / 10)
workers = st.sampled_from(["w-1", "w-2"])
told = {"after": moments, "worker": workers}


def middles(attempt: int, sequence: int) -> st.SearchStrategy[ResultEvent]:
    where = {"attempt": st.just(attempt), "sequence": st.just(sequence), **told}
    return st.one_of(
        st.builds(progressed, **where, message=st.text(max_size=3), usage=usages),
        st.builds(input_required, **where, usage=usages),
    )


def lasts(attempt: int, sequence: int) -> st.SearchStrategy[ResultEvent]:
    where = {"attempt": st.just(attempt), "sequence": st.just(sequence), **told}
    return st.one_of(
        st.builds(retry_scheduled, **where, usage=usages),
        st.builds(completed, **where, output=st.integers(), usage=usages),
        st.builds(failed, **where, reason=st.sampled_from([None, *Reason]), usage=usages),
        st.builds(canceled, **where, message=st.none() | st.just("stop"), usage=usages),
        st.builds(rejected, **where),
    )


@st.composite
def runs(draw: st.DrawFn) -> list[ResultEvent]:
    """What one worker tells of one run: a beginning, some news and perhaps an end."""
    attempt = draw(st.integers(1, 3))
    trace = st.sampled_from([None, TRACEPARENT, TRACEPARENT.replace("0af7", "1111")])
    events: list[ResultEvent] = [
        draw(st.builds(started, attempt=st.just(attempt), traceparent=trace, **told))
    ]
    for _ in range(draw(st.integers(0, 3))):
        events.append(draw(middles(attempt, len(events) + 1)))
    if draw(st.booleans()):
        events.append(draw(lasts(attempt, len(events) + 1)))
    return events


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Several runs, even of one attempt, each in its order but interleaved in the log."""
    waiting = [list(run) for run in draw(st.lists(runs(), min_size=1, max_size=4))]
    log: Log = []
    while waiting:
        run = draw(st.sampled_from(waiting))
        log.append((run.pop(0), len(log)))
        waiting = [each for each in waiting if each]
    return log


def folded(log: Log) -> Progress | None:
    return list(stages(log))[-1]


def stages(log: Log) -> Iterator[Progress | None]:
    """What was known before the first event and after each."""
    known = None
    yield known
    for event, offset in log:
        known = fold(known, event, offset)
        yield known


def seen_in(log: Log) -> list[Task]:
    """The task as a reader would have seen it at each stage."""
    return [describe(submitted(), known) for known in stages(log)]


@given(logs(), st.data())
def test_any_order_and_any_repetition_give_the_same_task(log: Log, data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from(log)))
    shuffled = data.draw(st.permutations(log + repeats))
    assert folded(shuffled) == folded(log)
    assert describe(submitted(), folded(shuffled)) == describe(submitted(), folded(log))


@given(logs())
def test_an_ending_that_somebody_has_seen_never_changes(log: Log) -> None:
    ended = [task for task in seen_in(log) if task.state.terminal]
    outcomes = [(task.state, task.reason, task.result, task.error) for task in ended]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert bool(ended) == any(isinstance(event, TerminalEvent) for event, _ in log)


@given(logs())
def test_states_in_log_order_follow_the_table(log: Log) -> None:
    states = [task.state for task in seen_in(log)]
    for current, following in pairwise(states):
        assert current is following or may_move(current, following)


@given(logs())
def test_usage_is_what_each_attempt_last_reported_summed_up(log: Log) -> None:
    newest: dict[int, tuple[tuple[int, int], ResultEvent]] = {}
    for event, offset in log:
        place = (event.sequence, -offset)
        if event.attempt not in newest or place > newest[event.attempt][0]:
            newest[event.attempt] = (place, event)
    spent = [getattr(event, "usage", Usage()) for _, event in newest.values()]
    assert seen_in(log)[-1].usage == sum(spent, Usage())


@given(logs(), st.booleans(), st.data())
def test_any_part_of_what_is_known_can_be_described(
    log: Log, asked: bool, data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.sampled_from(range(len(log))), min_size=0 if asked else 1))
    part = [log[place] for place in sorted(chosen)]
    task = describe(submitted() if asked else None, folded(part))
    assert task.id == log[0][0].task_id
    assert task.updated_at >= task.created_at
    assert (task.finished_at is not None) == task.state.terminal
    assert Task.model_validate_json(task.model_dump_json(by_alias=True)) == task


def test_the_ending_that_stands_first_in_the_log_wins_over_one_heard_first() -> None:
    late, first = canceled(sequence=5), completed(attempt=2, sequence=3)
    progress = fold(fold(None, late, 9), first, 8)
    assert describe(None, progress).state is TaskState.COMPLETED


def test_a_retry_is_news_of_a_working_task() -> None:
    progress = fold(fold(None, started(), 0), retry_scheduled(), 1)
    task = describe(submitted(), progress)
    assert (task.state, task.reason) == (TaskState.WORKING, Reason.RETRYING)
    assert task.error is not None
    again = describe(submitted(), fold(progress, started(attempt=2, after=10), 2))
    assert (again.reason, again.error, again.attempt) == (None, None, 2)
    assert again.started_at == at(1)


def test_an_answered_question_is_no_longer_asked() -> None:
    asked = fold(fold(None, started(), 0), input_required(), 1)
    assert describe(None, asked).input_request is not None
    answered = describe(None, fold(asked, progressed(sequence=3), 2))
    assert (answered.state, answered.input_request) == (TaskState.WORKING, None)


LIFE: list[ResultEvent] = [
    started(attempt=1, sequence=1),
    failed(attempt=1, sequence=2, reason=Reason.DEAD_LETTERED),
    redriven(attempt=1, sequence=3, after=60),
    started(attempt=2, sequence=1, after=61),
    completed(attempt=2, sequence=2, after=62),
]


def test_a_redriven_task_is_open_again_and_ends_anew_in_whatever_order_it_is_heard() -> None:
    log = list(zip(LIFE, range(5), strict=True))
    states = [describe(None, progress).state for progress in stages(log) if progress]
    assert states == [
        TaskState.WORKING,
        TaskState.FAILED,
        TaskState.SUBMITTED,
        TaskState.WORKING,
        TaskState.COMPLETED,
    ]
    whole = folded(log)
    assert all(folded(list(heard)) == whole for heard in permutations(log))
    assert [each.state for each in describe(None, whole).attempts] == ["failed", "completed"]


def test_a_cancel_of_its_former_life_does_not_show_on_a_redriven_task() -> None:
    reopened = folded(list(zip(LIFE[:4], range(4), strict=True)))
    assert describe(None, reopened, canceling(after=30)).reason is None
    assert describe(None, reopened, canceling(after=90)).reason is Reason.CANCELING
