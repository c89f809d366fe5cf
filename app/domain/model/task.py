"""The task as people see it, folded from its command and its events.

Folding is a merge: the same events in any order, any number of times, give the same task.
The ending is the terminal event that stands first in the log, so a run that lost its partition
and reports late cannot change an outcome that somebody has already read.
"""

from dataclasses import dataclass
from functools import partial
from typing import assert_never

from pydantic import BaseModel, ConfigDict, JsonValue

from app.domain.model.commands import Input, SubmitTask
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
    TaskRejected,
    TaskRetryScheduled,
    TaskStarted,
    TerminalEvent,
    Usage,
)
from app.domain.model.ids import AgentName, ContextId, RuntimeName, TaskId
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Timestamp

_NOTHING_SPENT = Usage()


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
    usage: Usage = _NOTHING_SPENT


@dataclass(frozen=True, slots=True)
class Start:
    """How an attempt began."""

    offset: int
    at: Timestamp
    runtime: RuntimeName
    model: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of the task, as far as it has been heard of."""

    start: Start | None
    news: News


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
class Progress:
    """All that the results log has told about one task."""

    task_id: TaskId
    first_at: Timestamp
    first_offset: int
    agent: AgentName
    """As the first event in the log says, like `trace_id`."""
    trace_id: str | None
    attempts: dict[int, Attempt]
    ending: Ending | None

    @property
    def latest(self) -> News | Ending:
        """What decides the state: the ending, else the news of the newest attempt."""
        return self.ending or self.attempts[max(self.attempts)].news


_OF_THE_COMMAND = ("agent", "input", "parameters", "context_id", "labels", "created_at")
_QUEUED = News(state=TaskState.SUBMITTED, reason=Reason.QUEUED)


class Task(BaseModel):
    """The resource: what a reader gets, over HTTP and on the command line."""

    model_config = ConfigDict(frozen=True)

    id: TaskId
    agent: AgentName
    runtime: RuntimeName | None
    state: TaskState
    reason: Reason | None
    status_message: str | None
    input: Input | None
    parameters: dict[str, JsonValue]
    context_id: ContextId | None
    labels: dict[str, str]
    result: Result | None
    error: TaskError | None
    input_request: InputRequest | None
    attempt: int
    usage: Usage
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    updated_at: Timestamp
    trace_id: str | None
    sequence: int


def fold(progress: Progress | None, event: ResultEvent, offset: int) -> Progress:
    """What is known after one more event; `offset` is where the event stands in the results log.

    Where two events claim the same place, the one that stands first in the log has it.
    """
    attempt = _with(progress.attempts.get(event.attempt) if progress else None, event, offset)
    ending = progress.ending if progress else None
    if isinstance(event, TerminalEvent) and (ending is None or offset < ending.offset):
        ending = _ending(event, offset)
    if progress is None:
        return Progress(
            task_id=event.task_id,
            first_at=event.at,
            first_offset=offset,
            agent=event.agent,
            trace_id=trace_id_of(event.traceparent),
            attempts={event.attempt: attempt},
            ending=ending,
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
        ending=ending,
    )


def describe(command: SubmitTask | None, progress: Progress | None) -> Task:
    """The task that a command and its progress amount to; one may not have been seen yet."""
    if command is not None:
        task_id, agent, created_at = command.id, command.agent, command.submitted_at
    elif progress is not None:
        task_id, agent, created_at = progress.task_id, progress.agent, progress.first_at
    else:
        raise ValueError("neither a command nor any progress: there is no task")
    attempts = progress.attempts if progress else {}
    latest = progress.latest if progress else _QUEUED
    ending = latest if isinstance(latest, Ending) else None
    number = ending.attempt if ending else max(attempts, default=0)
    starts = [attempt.start for attempt in attempts.values() if attempt.start]
    start = attempts[number].start if number in attempts else None
    asked = command.runtime if command else None
    return Task(
        id=task_id,
        agent=agent,
        runtime=start.runtime if start else asked,
        state=latest.state,
        reason=latest.reason,
        status_message=latest.message,
        input=command.input if command else None,
        parameters=command.parameters if command else {},
        context_id=command.context_id if command else None,
        labels=command.labels if command else {},
        result=ending.result if ending else None,
        error=latest.error,
        input_request=None if isinstance(latest, Ending) else latest.input_request,
        attempt=number,
        usage=sum((attempt.news.usage for attempt in attempts.values()), _NOTHING_SPENT),
        created_at=created_at,
        started_at=min((each.at for each in starts), default=None),
        finished_at=ending.at if ending else None,
        updated_at=max(created_at, latest.at or created_at),
        trace_id=(trace_id_of(command.traceparent) if command else None)
        or (progress.trace_id if progress else None),
        sequence=latest.sequence,
    )


def carried_on(task: Task, progress: Progress) -> Task:
    """A task just accepted, with all that has been told of it since."""
    told = describe(None, progress)
    kept = {name: getattr(task, name) for name in _OF_THE_COMMAND}
    return told.model_copy(
        update={**kept, "trace_id": task.trace_id or told.trace_id, "runtime": told.runtime}
    )


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a W3C `traceparent` (version-traceid-parentid-flags), if there is one."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else None


def _with(attempt: Attempt | None, event: ResultEvent, offset: int) -> Attempt:
    start = attempt.start if attempt else None
    if isinstance(event, TaskStarted) and (start is None or offset < start.offset):
        start = Start(offset, event.at, event.runtime, event.model)
    if attempt is None or _newer(event, offset, attempt.news):
        return Attempt(start, _news(event, offset))
    return Attempt(start, attempt.news)


def _newer(event: ResultEvent, offset: int, news: News) -> bool:
    if event.sequence == news.sequence:
        return offset < news.offset
    return event.sequence > news.sequence


def _news(event: ResultEvent, offset: int) -> News:
    news = partial(News, event.sequence, offset, event.at)
    match event:
        case TaskStarted() | TaskRejected():
            return news()
        case TaskProgressed():
            return news(message=event.message, usage=event.usage)
        case TaskRetryScheduled():
            return news(reason=Reason.RETRYING, error=event.error, usage=event.usage)
        case TaskInputRequired():
            question = event.input_request
            state = TaskState.INPUT_REQUIRED
            return news(state=state, input_request=question, usage=event.usage)
        case TaskCompleted() | TaskFailed() | TaskCanceled():
            return news(usage=event.usage)
        case _:
            assert_never(event)


def _ending(event: TerminalEvent, offset: int) -> Ending:
    end = partial(Ending, offset, event.attempt, event.sequence, event.at)
    match event:
        case TaskCompleted():
            return end(TaskState.COMPLETED, result=event.result)
        case TaskFailed():
            return end(TaskState.FAILED, event.reason, error=event.error)
        case TaskCanceled():
            return end(TaskState.CANCELED, event.reason, event.message)
        case TaskRejected():
            return end(TaskState.REJECTED, event.reason, error=event.error)
        case _:
            assert_never(event)
