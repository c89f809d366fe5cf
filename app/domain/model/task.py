"""The task as people see it: what its command and its progress amount to."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from app.domain.model.commands import CancelTask, Earlier, Input, SubmitTask
from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.events import InputRequest, Result, TaskError, Usage
from app.domain.model.ids import AgentName, ContextId, RuntimeName, TaskId, WorkerId
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Timestamp, trace_id_of
from app.domain.model.priorities import Priority
from app.domain.model.progress import NOTHING_SPENT, Attempt, Ending, News, Progress

_OF_THE_COMMAND = ("agent", "input", "parameters", "context_id", "labels", "priority", "created_at")
_LISTED_TEXT, _LISTED_ATTEMPTS = 1_000, 20
"""Of each text of a listed task so many characters are shown, and so many of its runs."""
_QUEUED = News(state=TaskState.SUBMITTED, reason=Reason.QUEUED)


class TaskAttempt(BaseModel):
    """One run of a task: when, where, and how it ended."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    number: int
    """Counted from 1."""
    state: TaskState | Literal["retrying", "interrupted"]
    """`interrupted` where its worker died or was stopped: another attempt took over."""
    worker_id: WorkerId | None
    """Where it ran."""
    started_at: Timestamp | None
    ended_at: Timestamp | None
    error: TaskError | None
    """Why it failed, where it did."""
    usage: Usage
    """What it spent."""

    @property
    def ended(self) -> bool:
        """Whether the task ended with it, be it redriven since or not."""
        return isinstance(self.state, TaskState) and self.state.terminal

    @property
    def undecodable(self) -> bool:
        """Whether this was no run, but a message that is no task."""
        code = self.error.code if self.error else None
        return self.state is TaskState.REJECTED and code == DeadLetterReason.UNDECODABLE


class TaskSummary(BaseModel):
    """A task as a list shows it: of bounded size, without what it was given and what it made."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: TaskId
    agent: AgentName | None
    """Who does it; null as long as nothing is known here but that it is to be canceled."""
    runtime: RuntimeName | None
    """How its latest run is or was run; before that as was asked for."""
    state: TaskState
    reason: Reason | None
    """The finer fact beside the state, where there is one."""
    status_message: str | None
    """What it says of itself, for people."""
    context_id: ContextId | None
    """The conversation it belongs to."""
    labels: dict[str, str]
    priority: Priority
    error: TaskError | None
    """Why it failed or was rejected, or why its latest run did."""
    input_request: InputRequest | None
    """What a person is asked, while its state is `input-required`."""
    attempt: int
    """The number of the latest run; 0 before the first."""
    attempts: tuple[TaskAttempt, ...]
    """Each run: when, where and how it ended."""
    usage: Usage
    """What all runs together have spent."""
    created_at: Timestamp
    """When it was asked for."""
    started_at: Timestamp | None
    """When its first run began."""
    finished_at: Timestamp | None
    """When it ended."""
    updated_at: Timestamp
    """When anything was last heard of it."""
    trace_id: str | None
    """Its OpenTelemetry trace."""
    sequence: int
    """The number of the event that told its state, among those of its run."""


class Task(TaskSummary):
    """The resource: what a reader gets, over HTTP and on the command line."""

    input: Input | None
    """What was asked; null as long as only its events are known."""
    parameters: dict[str, JsonValue]
    result: Result | None
    """Once it is completed; the beginning of it where the task failed as it was too large."""


def describe(
    command: SubmitTask | None, progress: Progress | None, cancel: CancelTask | None = None
) -> Task:
    """The task that a command and its progress amount to; one may not have been seen yet.

    Until it has ended, a task somebody wants to be canceled says so.
    """
    task = _described(command, progress)
    if cancel is None or _outlived(progress, cancel):
        return task
    return canceling(task, cancel)


def canceling(task: Task, cancel: CancelTask) -> Task:
    """The task while it is being stopped; one that has ended stays as it ended."""
    if task.state.terminal:
        return task
    updated_at = max(task.updated_at, cancel.at)
    return task.model_copy(update={"reason": Reason.CANCELING, "updated_at": updated_at})


def canceled_unseen(cancel: CancelTask) -> Task:
    """A task of which nothing can be read now but that somebody wants it canceled."""
    return Task(
        id=cancel.task_id,
        agent=None,
        runtime=None,
        state=TaskState.SUBMITTED,
        reason=Reason.CANCELING,
        status_message=None,
        input=None,
        parameters={},
        context_id=None,
        labels={},
        priority=Priority.NORMAL,
        result=None,
        error=None,
        input_request=None,
        attempt=0,
        attempts=(),
        usage=NOTHING_SPENT,
        created_at=cancel.at,
        started_at=None,
        finished_at=None,
        updated_at=cancel.at,
        trace_id=trace_id_of(cancel.traceparent),
        sequence=0,
    )


def summary(task: Task) -> TaskSummary:
    """The task as a list shows it: long texts are cut, and of many runs the latest are kept."""
    fields = {name: getattr(task, name) for name in TaskSummary.model_fields}
    question = task.input_request
    shortened = {
        "status_message": _cut(task.status_message) if task.status_message else None,
        "error": _short(task.error),
        "input_request": question
        and InputRequest(prompt=_cut(question.prompt), expires_at=question.expires_at),
        "attempts": tuple(
            each.model_copy(update={"error": _short(each.error)})
            for each in task.attempts[-_LISTED_ATTEMPTS:]
        ),
    }
    return TaskSummary.model_construct(**fields | shortened)


def _short(error: TaskError | None) -> TaskError | None:
    return error and TaskError(
        code=_cut(error.code), message=_cut(error.message), retryable=error.retryable
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LISTED_TEXT else f"{text[: _LISTED_TEXT - 1]}…"


def _outlived(progress: Progress | None, cancel: CancelTask) -> bool:
    """Whether the task was redriven since then."""
    reopened_at = progress.reopened_at if progress else None
    return reopened_at is not None and cancel.at < reopened_at


def _described(command: SubmitTask | None, progress: Progress | None) -> Task:
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
        priority=command.priority if command else Priority.NORMAL,
        result=ending.result if ending else None,
        error=latest.error,
        input_request=None if isinstance(latest, Ending) else latest.input_request,
        attempt=number,
        attempts=_attempts(progress, ending) if progress else (),
        usage=sum((attempt.news.usage for attempt in attempts.values()), NOTHING_SPENT),
        created_at=created_at,
        started_at=min((each.at for each in starts), default=None),
        finished_at=ending.at if ending else None,
        updated_at=max(created_at, latest.at or created_at),
        trace_id=(trace_id_of(command.traceparent) if command else None)
        or (progress.trace_id if progress else None),
        sequence=latest.sequence,
    )


def redriven(command: SubmitTask, progress: Progress) -> SubmitTask:
    """The command as it was sent when the task last came back from the dead letters."""
    earlier = Earlier(progress.reopened, 0, progress.redrives, progress.reopened_at)
    return command.model_copy(update={"earlier": earlier})


def carried_on(task: Task, progress: Progress) -> Task:
    """A task just accepted, with all that has been told of it since."""
    told = describe(None, progress)
    kept = {name: getattr(task, name) for name in _OF_THE_COMMAND}
    return told.model_copy(
        update={**kept, "trace_id": task.trace_id or told.trace_id, "runtime": told.runtime}
    )


def _attempts(progress: Progress, ending: Ending | None) -> tuple[TaskAttempt, ...]:
    newest = max(progress.attempts)
    return tuple(
        _attempt(number, attempt, over=number < newest or ending is not None)
        for number, attempt in progress.attempts.items()
    )


def _attempt(number: int, attempt: Attempt, *, over: bool) -> TaskAttempt:
    start, news, ending = attempt.start, attempt.news, attempt.ending
    state: TaskState | Literal["retrying", "interrupted"]
    if ending:
        state = ending.state
    elif news.reason is Reason.RETRYING:
        state = "retrying"
    elif over:
        state = "interrupted"
    else:
        state = news.state
    return TaskAttempt(
        number=number,
        state=state,
        worker_id=start.worker_id if start else None,
        started_at=start.at if start else None,
        ended_at=ending.at if ending else news.at if state == "retrying" else None,
        error=ending.error if ending else news.error,
        usage=news.usage,
    )
