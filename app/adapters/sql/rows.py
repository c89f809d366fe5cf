"""Messages and progress as rows, and back."""

from typing import NamedTuple

from pydantic import BaseModel, TypeAdapter

from app.domain.model.commands import CancelTask, SubmitTask
from app.domain.model.events import Event, TaskError
from app.domain.model.ids import AgentName, ContextId, RuntimeName, TaskIdField
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Timestamp
from app.domain.model.paging import milliseconds
from app.domain.model.priorities import Priority
from app.domain.model.progress import Attempt, Ending, News, Progress, Start
from app.domain.model.task import Task, TaskSummary, describe, summary
from app.domain.model.vocabulary import MESSAGES

_PROGRESS = TypeAdapter(Progress)
LARGEST = 2**31 - 1
"""The largest number of an attempt or an event that is stored."""


class TaskRow(NamedTuple):
    """A row of `crewline_tasks`, in the order of its columns; a half not spoken of is None."""

    id: str
    agent: str
    state: str
    reason: str | None
    context_id: str | None
    created_at: int
    updated_at: int
    command: str | None
    traceparent: str | None
    progress: str | None
    written_at: int | None = None
    topic: str | None = None
    partition: int | None = None
    position: int | None = None


class EventRow(NamedTuple):
    """A row of `crewline_task_events`, in the order of its columns."""

    task_id: str
    attempt: int
    sequence: int
    type: str
    body: str
    traceparent: str | None


class LabelRow(NamedTuple):
    """A row of `crewline_task_labels`, in the order of its columns."""

    key: str
    value: str
    created_at: int
    task_id: str


class CancelRow(NamedTuple):
    """A row of `crewline_cancels`, in the order of its columns."""

    task_id: str
    at: int
    body: str


def command_row(command: SubmitTask) -> TaskRow:
    """What a command alone tells."""
    submitted_at = milliseconds(command.submitted_at)
    return TaskRow(
        id=command.id,
        agent=command.agent,
        state=TaskState.SUBMITTED.value,
        reason=Reason.QUEUED.value,
        context_id=plain(command.context_id) if command.context_id else None,
        created_at=submitted_at,
        updated_at=submitted_at,
        command=command.model_dump_json(by_alias=True),
        traceparent=plain(command.traceparent) if command.traceparent else None,
        progress=None,
    )


def progress_row(progress: Progress, command: TaskRow | None) -> TaskRow:
    """What progress tells, beside the command's row where that is new too."""
    latest = progress.latest
    told_at = milliseconds(latest.at) if latest.at else 0
    return TaskRow(
        id=progress.task_id,
        agent=command.agent if command else progress.agent,
        state=latest.state.value,
        reason=latest.reason.value if latest.reason else None,
        context_id=command.context_id if command else None,
        created_at=command.created_at if command else milliseconds(progress.first_at),
        updated_at=told_at,
        command=command.command if command else None,
        traceparent=command.traceparent if command else None,
        progress=_PROGRESS.dump_json(progress, by_alias=True, exclude_defaults=True).decode(),
    )


def label_rows(command: SubmitTask) -> list[LabelRow]:
    created_at = milliseconds(command.submitted_at)
    return [
        LabelRow(key, plain(value), created_at, command.id) for key, value in command.labels.items()
    ]


def event_row(event: Event) -> EventRow:
    return EventRow(
        event.task_id,
        min(event.attempt, LARGEST),  # whoever writes to the topic may number as they like
        min(event.sequence, LARGEST),
        event.TYPE,
        event.model_dump_json(by_alias=True),
        plain(event.traceparent) if event.traceparent else None,
    )


def cancel_row(cancel: CancelTask) -> CancelRow:
    body = cancel.model_dump_json(by_alias=True)
    return CancelRow(cancel.task_id, milliseconds(cancel.at), body)


def task_of(
    command: str | None, traceparent: str | None, progress: str | None, cancel: str | None
) -> Task:
    """The task that a row's two halves, and what was asked of it, amount to."""
    asked = command_of(command, traceparent) if command else None
    told = progress_of(progress) if progress else None
    return describe(asked, told, cancel_of(cancel) if cancel else None)


def summary_of(
    command: str | None, traceparent: str | None, progress: str | None, cancel: str | None
) -> TaskSummary:
    """The same as a list shows it. What it was given and what it made is passed over unread."""
    asked = told = None
    if command:
        brief = _CommandBrief.model_validate_json(command)
        asked = SubmitTask.model_construct(
            **brief.__dict__, input="", parameters={}, traceparent=traceparent
        )
    if progress:
        told = _ProgressBrief.model_validate_json(progress).progress
    return summary(describe(asked, told, cancel_of(cancel) if cancel else None))


class _CommandBrief(BaseModel):
    """Of a `SubmitTask` what a list shows; all else is skipped by the parser."""

    id: TaskIdField
    agent: AgentName
    submitted_at: Timestamp
    runtime: RuntimeName | None = None
    context_id: ContextId | None = None
    labels: dict[str, str] = {}
    priority: Priority = Priority.NORMAL


class _EndingBrief(BaseModel):
    """An `Ending` without its result."""

    offset: int
    attempt: int
    sequence: int
    at: Timestamp
    state: TaskState
    reason: Reason | None = None
    message: str | None = None
    error: TaskError | None = None


class _AttemptBrief(BaseModel):
    news: News
    start: Start | None = None
    ending: _EndingBrief | None = None


class _ProgressBrief(BaseModel):
    task_id: TaskIdField
    first_at: Timestamp
    first_offset: int
    agent: AgentName
    trace_id: str | None = None
    attempts: dict[int, _AttemptBrief]
    reopened: int = 0
    reopened_at: Timestamp | None = None
    redrives: int = 0

    @property
    def progress(self) -> Progress:
        attempts = {
            number: Attempt(
                each.news, each.start, Ending(**each.ending.__dict__) if each.ending else None
            )
            for number, each in self.attempts.items()
        }
        return Progress(**{**self.__dict__, "attempts": attempts})


def command_of(command: str, traceparent: str | None) -> SubmitTask:
    asked = SubmitTask.model_validate_json(command)
    return asked.model_copy(update={"traceparent": traceparent}) if traceparent else asked


def cancel_of(body: str) -> CancelTask:
    return CancelTask.model_validate_json(body)


def progress_of(text: str) -> Progress:
    return _PROGRESS.validate_json(text)


def event_of(type_name: str, body: str, traceparent: str | None) -> Event:
    event = MESSAGES[type_name].model_validate_json(body)
    if not isinstance(event, Event):
        raise TypeError(f"{type_name} is not an event")
    return event.model_copy(update={"traceparent": traceparent}) if traceparent else event


def plain(text: str) -> str:
    """Text that both databases take: PostgreSQL refuses the character NUL."""
    return text.replace("\x00", "\ufffd")
