"""The task as people see it, folded from its command and its events.

Folding is a merge: the same events in any order, any number of times, give the same task.
The ending is the terminal event that stands first in the log, so a run that lost its partition
and reports late cannot change an outcome that somebody has already read.
"""

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
from app.domain.model.ids import AgentName, ContextId, RuntimeName, TaskId, WorkerId
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Timestamp


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True)


class News(_Fact):
    """The latest thing an attempt said about itself."""

    sequence: int = 0
    at: Timestamp | None = None
    state: TaskState = TaskState.WORKING
    reason: Reason | None = None
    message: str | None = None
    input_request: InputRequest | None = None
    error: TaskError | None = None
    usage: Usage = Usage()


class Attempt(_Fact):
    """One run of the task, as far as it has been heard of."""

    worker_id: WorkerId
    runtime: RuntimeName | None = None
    model: str | None = None
    started_at: Timestamp | None = None
    news: News = News()


class Ending(_Fact):
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


class Progress(_Fact):
    """All that the results log has told about one task."""

    task_id: TaskId
    agent: AgentName
    first_at: Timestamp
    trace_id: str | None = None
    attempts: dict[int, Attempt] = {}
    ending: Ending | None = None


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
    """What is known after one more event; `offset` is where the event stands in the results log."""
    if progress is None:
        progress = Progress(task_id=event.task_id, agent=event.agent, first_at=event.at)
    attempts = dict(progress.attempts)
    attempts[event.attempt] = _with(attempts.get(event.attempt), event)
    ending = progress.ending
    if isinstance(event, TerminalEvent) and (ending is None or offset < ending.offset):
        ending = _ending(event, offset)
    return Progress(
        task_id=progress.task_id,
        agent=progress.agent,
        first_at=min(progress.first_at, event.at),
        trace_id=progress.trace_id or trace_id_of(event.traceparent),
        attempts=dict(sorted(attempts.items())),
        ending=ending,
    )


def describe(command: SubmitTask | None, progress: Progress | None) -> Task:
    """The task that a command and its progress amount to; one may not have been seen yet."""
    known = command or progress
    if known is None:
        raise ValueError("neither a command nor any progress: there is no task")
    attempts = progress.attempts if progress else {}
    ending = progress.ending if progress else None
    number = ending.attempt if ending else max(attempts, default=0)
    current = attempts.get(number)
    news = current.news if current else News(state=TaskState.SUBMITTED, reason=Reason.QUEUED)
    created_at = command.submitted_at if command else progress.first_at if progress else None
    moved_at = ending.at if ending else news.at
    return Task(
        id=known.id if isinstance(known, SubmitTask) else known.task_id,
        agent=known.agent,
        runtime=(current.runtime if current else None) or (command.runtime if command else None),
        state=ending.state if ending else news.state,
        reason=ending.reason if ending else news.reason,
        status_message=ending.message if ending else news.message,
        input=command.input if command else None,
        parameters=command.parameters if command else {},
        context_id=command.context_id if command else None,
        labels=command.labels if command else {},
        result=ending.result if ending else None,
        error=ending.error if ending else news.error,
        input_request=None if ending else news.input_request,
        attempt=number,
        usage=sum((attempt.news.usage for attempt in attempts.values()), Usage()),
        created_at=created_at,
        started_at=min((a.started_at for a in attempts.values() if a.started_at), default=None),
        finished_at=ending.at if ending else None,
        updated_at=max(filter(None, (created_at, moved_at))),
        trace_id=(trace_id_of(command.traceparent) if command else None)
        or (progress.trace_id if progress else None),
        sequence=ending.sequence if ending else news.sequence,
    )


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a W3C `traceparent` (version-traceid-parentid-flags), if there is one."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else None


def _with(attempt: Attempt | None, event: ResultEvent) -> Attempt:
    facts = attempt or Attempt(worker_id=event.worker_id)
    if isinstance(event, TaskStarted):
        facts = facts.model_copy(
            update={"runtime": event.runtime, "model": event.model, "started_at": event.at}
        )
    if event.sequence > facts.news.sequence:
        facts = facts.model_copy(update={"news": _news(event)})
    return facts


def _news(event: ResultEvent) -> News:
    heard = News(sequence=event.sequence, at=event.at)
    match event:
        case TaskStarted():
            return heard
        case TaskProgressed():
            return heard.model_copy(update={"message": event.message, "usage": event.usage})
        case TaskRetryScheduled():
            update = {"reason": Reason.RETRYING, "error": event.error, "usage": event.usage}
            return heard.model_copy(update=update)
        case TaskInputRequired():
            asked = {"state": TaskState.INPUT_REQUIRED, "input_request": event.input_request}
            return heard.model_copy(update={**asked, "usage": event.usage})
        case TaskCompleted() | TaskFailed() | TaskCanceled():
            return heard.model_copy(update={"usage": event.usage})
        case TaskRejected():
            return heard
        case _:
            assert_never(event)


def _ending(event: TerminalEvent, offset: int) -> Ending:
    end = Ending(
        offset=offset,
        attempt=event.attempt,
        sequence=event.sequence,
        at=event.at,
        state=TaskState.COMPLETED,
    )
    match event:
        case TaskCompleted():
            return end.model_copy(update={"result": event.result})
        case TaskFailed():
            how = {"state": TaskState.FAILED, "reason": event.reason}
            return end.model_copy(update={**how, "error": event.error})
        case TaskCanceled():
            how = {"state": TaskState.CANCELED, "reason": event.reason}
            return end.model_copy(update={**how, "message": event.message})
        case TaskRejected():
            how = {"state": TaskState.REJECTED, "reason": event.reason}
            return end.model_copy(update={**how, "error": event.error})
        case _:
            assert_never(event)
