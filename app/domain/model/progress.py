"""All that the results log has told about one task, folded from its events.

Folding is a merge: the same events in any order, any number of times, give the same progress.
The ending is the terminal event that stands first in the log, so a run that lost its partition
and reports late cannot change an outcome that somebody has already read. Only a redrive from the
dead letters opens a task again, and then for later attempts only.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import assert_never

from app.domain.model.events import (
    InputRequest,
    Result,
    ResultEvent,
    TaskCanceled,
    TaskCompleted,
    TaskError,
    TaskFailed,
    TaskInputRequired,
    TaskProgressed,
    TaskRedriven,
    TaskRejected,
    TaskRetryScheduled,
    TaskStarted,
    TerminalEvent,
    Usage,
)
from app.domain.model.ids import AgentName, RuntimeName, TaskId, WorkerId
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Timestamp, rfc3339, trace_id_of

NOTHING_SPENT = Usage()


@dataclass(frozen=True, slots=True)
class News:
    """The latest thing an attempt said about itself, and where in the results log it stands."""

    sequence: int = 0
    offset: int = 0
    at: Timestamp | None = None
    state: TaskState = TaskState.WORKING
    reason: Reason | None = None
    message: str | None = None
    input_request: InputRequest | None = None
    error: TaskError | None = None
    usage: Usage = NOTHING_SPENT


@dataclass(frozen=True, slots=True)
class Start:
    """How an attempt began."""

    offset: int
    at: Timestamp
    runtime: RuntimeName
    model: str | None
    worker_id: WorkerId


@dataclass(frozen=True, slots=True)
class Ending:
    """The terminal event, with its offset in the results log."""

    offset: int
    attempt: int
    sequence: int
    at: Timestamp
    state: TaskState
    reason: Reason | None = None
    message: str | None = None
    result: Result | None = None
    error: TaskError | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the task, as far as it has been heard of."""

    news: News
    start: Start | None = None
    ending: Ending | None = None
    """The terminal event it told first."""


@dataclass(frozen=True, slots=True)
class Progress:
    """All that the results log has told about one task."""

    task_id: TaskId
    first_at: Timestamp
    first_offset: int
    agent: AgentName
    """As the first event in the log says, like `trace_id`."""
    trace_id: str | None
    attempts: dict[int, Attempt]
    reopened: int = 0
    """The task came back from the dead letters after this attempt: endings up to it are past."""
    reopened_at: Timestamp | None = None
    """When that was: what was asked of the task before is past as well."""
    redrives: int = 0
    """How often it came back."""

    @property
    def ending(self) -> Ending | None:
        """The terminal event that counts: of those after the last redrive the first in the log."""
        endings = (
            attempt.ending
            for number, attempt in self.attempts.items()
            if attempt.ending and number > self.reopened
        )
        return min(endings, key=lambda each: each.offset, default=None)

    @property
    def latest(self) -> News | Ending:
        """What decides the state: the ending, else the news of the newest attempt."""
        return self.ending or self.attempts[max(self.attempts)].news

    def at_redrive(self) -> "Progress | None":
        """As it stood when the task came back last; None where it never did."""
        if not self.reopened:
            return None
        kept = {number: each for number, each in self.attempts.items() if number <= self.reopened}
        return replace(self, attempts=kept)


_AGAIN_AT = "again at "


def next_run_at(progress: Progress) -> datetime | None:
    """The time its next run waits for, where one is to follow."""
    latest = progress.latest
    if latest.reason is not Reason.RETRYING or latest.message is None:
        return None
    return datetime.fromisoformat(latest.message.removeprefix(_AGAIN_AT))


def fold(progress: Progress | None, event: ResultEvent, offset: int) -> Progress:
    """What is known after one more event; `offset` is where the event stands in the results log.

    Where two events claim the same place, the one that stands first in the log has it.
    """
    attempt = _with(progress.attempts.get(event.attempt) if progress else None, event, offset)
    reopened, reopened_at, redrives = 0, None, 0
    if isinstance(event, TaskRedriven):
        reopened, reopened_at, redrives = event.attempt, event.at, event.redrives
    if progress is None:
        return Progress(
            task_id=event.task_id,
            first_at=event.at,
            first_offset=offset,
            agent=event.agent,
            trace_id=trace_id_of(event.traceparent),
            attempts={event.attempt: attempt},
            reopened=reopened,
            reopened_at=reopened_at,
            redrives=redrives,
        )
    attempts = {**progress.attempts, event.attempt: attempt}
    first = offset < progress.first_offset
    return Progress(
        task_id=progress.task_id,
        first_at=min(progress.first_at, event.at),
        first_offset=offset if first else progress.first_offset,
        agent=event.agent if first else progress.agent,
        trace_id=trace_id_of(event.traceparent) if first else progress.trace_id,
        attempts=dict(sorted(attempts.items())),
        reopened=max(progress.reopened, reopened),
        reopened_at=max(filter(None, (progress.reopened_at, reopened_at)), default=None),
        redrives=max(progress.redrives, redrives),
    )


def _with(attempt: Attempt | None, event: ResultEvent, offset: int) -> Attempt:
    start = attempt.start if attempt else None
    if isinstance(event, TaskStarted) and (start is None or offset < start.offset):
        start = Start(offset, event.at, event.runtime, event.model, event.worker_id)
    ending = attempt.ending if attempt else None
    if isinstance(event, TerminalEvent) and (ending is None or offset < ending.offset):
        ending = _ending(event, offset)
    if attempt is None or _newer(event, offset, attempt.news):
        return Attempt(_news(event, offset), start, ending)
    return Attempt(attempt.news, start, ending)


def _newer(event: ResultEvent, offset: int, news: News) -> bool:
    if event.sequence == news.sequence:
        return offset < news.offset
    return event.sequence > news.sequence


def _news(event: ResultEvent, offset: int) -> News:
    news = partial(News, event.sequence, offset, event.at)
    match event:  # the most frequent ones first
        case TaskStarted() | TaskRejected():
            return news()
        case TaskCompleted() | TaskFailed() | TaskCanceled():
            return news(usage=event.usage)
        case TaskProgressed():
            return news(message=event.message, usage=event.usage)
        case TaskRetryScheduled():
            again = f"{_AGAIN_AT}{rfc3339(event.not_before)}"
            return news(reason=Reason.RETRYING, message=again, error=event.error, usage=event.usage)
        case TaskInputRequired():
            question = event.input_request
            state = TaskState.INPUT_REQUIRED
            return news(state=state, input_request=question, usage=event.usage)
        case TaskRedriven():
            return news(state=TaskState.SUBMITTED, reason=Reason.QUEUED)
        case _:
            assert_never(event)


def _ending(event: TerminalEvent, offset: int) -> Ending:
    end = partial(Ending, offset, event.attempt, event.sequence, event.at)
    match event:
        case TaskCompleted():
            return end(TaskState.COMPLETED, result=event.result)
        case TaskFailed():
            return end(TaskState.FAILED, event.reason, error=event.error, result=event.result)
        case TaskCanceled():
            return end(TaskState.CANCELED, event.reason, event.message)
        case TaskRejected():
            return end(TaskState.REJECTED, event.reason, error=event.error)
        case _:
            assert_never(event)
