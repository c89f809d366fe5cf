"""Messages for tests: valid, small and the same on every run; override what a test is about.

A task may be named shortly: `started("t-1")` is about the task `task_id("t-1")`.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict, Unpack

from pydantic import JsonValue

from app.domain.model.commands import CancelTask, Input, SubmitTask, TaskRequest
from app.domain.model.events import (
    Artifact,
    InputRequest,
    Result,
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
    TraceStep,
    TraceToken,
    Usage,
)
from app.domain.model.fleet import Place, Share, TaskInHand, WorkerHeartbeat
from app.domain.model.ids import (
    AgentName,
    ContextId,
    RuntimeName,
    TaskId,
    WorkerId,
    as_task_id,
    derived_task_id,
)
from app.domain.model.lifecycle import Reason
from app.domain.model.priorities import Priority

T0 = datetime(2026, 1, 1, tzinfo=UTC)
ANALYST = AgentName("business-analyst")
DEVELOPER = AgentName("developer")
WORKER = WorkerId("worker-1")
RULES = RuntimeName("rules")
NOTHING_SPENT = Usage()
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def task_id(name: str = "t-1") -> TaskId:
    """The id of that name: a UUID stays itself, any other name gets one of its own."""
    return as_task_id(name) or derived_task_id("tests", name)


def at(seconds: float) -> datetime:
    """A moment so many seconds after the tests' beginning of time."""
    return T0 + timedelta(seconds=seconds)


def requested(
    input: Input = "What is Kafka?",  # noqa: A002  named as the request names it
    *,
    agent: str = ANALYST,
    name: str | None = None,
    parameters: dict[str, JsonValue] | None = None,
    context_id: str | None = None,
    labels: dict[str, str] | None = None,
    runtime: str | None = None,
    timeout_seconds: float | None = None,
    expires_at: datetime | None = None,
) -> TaskRequest:
    return TaskRequest(
        agent=AgentName(agent),
        id=task_id(name) if name else None,
        input=input,
        parameters=parameters or {},
        context_id=ContextId(context_id) if context_id else None,
        labels=labels or {},
        runtime=RuntimeName(runtime) if runtime else None,
        timeout_seconds=timeout_seconds,
        expires_at=expires_at,
    )


def submitted(
    name: str = "t-1",
    input: Input = "What is Kafka?",  # noqa: A002  named as the command names it
    *,
    agent: str = ANALYST,
    after: float = 0,
    parameters: dict[str, JsonValue] | None = None,
    context_id: str | None = None,
    labels: dict[str, str] | None = None,
    runtime: str | None = None,
    model: str | None = None,
    timeout_seconds: float | None = None,
    expires_at: datetime | None = None,
    not_before: datetime | None = None,
    priority: Priority = Priority.NORMAL,
    traceparent: str | None = None,
) -> SubmitTask:
    return SubmitTask(
        id=task_id(name),
        agent=AgentName(agent),
        submitted_at=at(after),
        input=input,
        parameters=parameters or {},
        context_id=ContextId(context_id) if context_id else None,
        labels=labels or {},
        runtime=RuntimeName(runtime) if runtime else None,
        model=model,
        timeout_seconds=timeout_seconds,
        expires_at=expires_at,
        not_before=not_before,
        priority=priority,
        traceparent=traceparent,
    )


def canceling(name: str = "t-1", reason: str | None = None, *, after: float = 1) -> CancelTask:
    return CancelTask(task_id=task_id(name), at=at(after), reason=reason)


class Told(TypedDict, total=False):
    """What every event may be told besides its own facts."""

    agent: str
    after: float
    worker: str
    traceparent: str | None


class _Event(TypedDict):
    task_id: TaskId
    agent: AgentName
    attempt: int
    sequence: int
    at: datetime
    worker_id: WorkerId
    traceparent: str | None


def _event(name: str, attempt: int, sequence: int, told: Told, after: float) -> _Event:
    return _Event(
        task_id=task_id(name),
        agent=AgentName(told.get("agent", ANALYST)),
        attempt=attempt,
        sequence=sequence,
        at=at(told.get("after", after)),
        worker_id=WorkerId(told.get("worker", WORKER)),
        traceparent=told.get("traceparent"),
    )


def started(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 1,
    *,
    runtime: str = RULES,
    model: str | None = None,
    **told: Unpack[Told],
) -> TaskStarted:
    event = _event(name, attempt, sequence, told, after=1)
    return TaskStarted(runtime=RuntimeName(runtime), model=model, **event)


def progressed(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 2,
    *,
    message: str = "thinking",
    progress: float | None = None,
    usage: Usage = NOTHING_SPENT,
    **told: Unpack[Told],
) -> TaskProgressed:
    event = _event(name, attempt, sequence, told, after=2)
    return TaskProgressed(message=message, progress=progress, usage=usage, **event)


def retry_scheduled(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 2,
    *,
    code: str = "model-unavailable",
    not_before: float = 10,
    usage: Usage = NOTHING_SPENT,
    **told: Unpack[Told],
) -> TaskRetryScheduled:
    event = _event(name, attempt, sequence, told, after=3)
    error = TaskError(code=code, message="try later", retryable=True)
    return TaskRetryScheduled(error=error, not_before=at(not_before), usage=usage, **event)


def input_required(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 2,
    *,
    prompt: str = "May I?",
    usage: Usage = NOTHING_SPENT,
    **told: Unpack[Told],
) -> TaskInputRequired:
    event = _event(name, attempt, sequence, told, after=3)
    question = InputRequest(prompt=prompt, schema={"type": "boolean"})
    return TaskInputRequired(input_request=question, usage=usage, **event)


def completed(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 2,
    *,
    output: JsonValue = "A log.",
    artifacts: tuple[Artifact, ...] = (),
    usage: Usage = NOTHING_SPENT,
    **told: Unpack[Told],
) -> TaskCompleted:
    event = _event(name, attempt, sequence, told, after=4)
    return TaskCompleted(result=Result(output=output, artifacts=artifacts), usage=usage, **event)


def failed(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 2,
    *,
    code: str = "run-failed",
    reason: Reason | None = None,
    usage: Usage = NOTHING_SPENT,
    **told: Unpack[Told],
) -> TaskFailed:
    event = _event(name, attempt, sequence, told, after=4)
    error = TaskError(code=code, message="it went wrong")
    return TaskFailed(error=error, reason=reason, usage=usage, **event)


def canceled(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 2,
    *,
    message: str | None = None,
    reason: Reason | None = None,
    usage: Usage = NOTHING_SPENT,
    **told: Unpack[Told],
) -> TaskCanceled:
    event = _event(name, attempt, sequence, told, after=4)
    return TaskCanceled(message=message, reason=reason, usage=usage, **event)


def rejected(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 1,
    *,
    code: str = "expired",
    reason: Reason | None = Reason.EXPIRED,
    **told: Unpack[Told],
) -> TaskRejected:
    event = _event(name, attempt, sequence, told, after=4)
    return TaskRejected(error=TaskError(code=code, message="not run"), reason=reason, **event)


def redriven(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 3,
    *,
    redrives: int = 1,
    **told: Unpack[Told],
) -> TaskRedriven:
    return TaskRedriven(redrives=redrives, **_event(name, attempt, sequence, told, after=5))


def stepped(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 2,
    *,
    step: str = "research",
    **told: Unpack[Told],
) -> TraceStep:
    event = _event(name, attempt, sequence, told, after=2)
    return TraceStep(kind="step", name=step, phase="completed", duration_ms=1.5, **event)


def token(
    name: str = "t-1",
    attempt: int = 1,
    sequence: int = 2,
    *,
    text: str = "Kaf",
    **told: Unpack[Told],
) -> TraceToken:
    return TraceToken(text=text, **_event(name, attempt, sequence, told, after=2))


def place(offset: int, written_at: datetime | None = None) -> Place:
    """Where a command stands."""
    topic = "crewline.commands.business-analyst"
    return Place(topic=topic, partition=0, offset=offset, written_at=written_at)


def heartbeat(
    worker: str = WORKER,
    number: int = 1,
    *,
    instance: str = "1",
    state: Literal["working", "draining", "stopped"] = "working",
    running: tuple[str, ...] = (),
    finished: tuple[int, ...] = (),
    lag: int = 0,
    lease: float = 9,
    after: float = 0,
    agents: tuple[AgentName, ...] = (ANALYST,),
    runtimes: tuple[RuntimeName, ...] = (RULES,),
) -> WorkerHeartbeat:
    """A worker's word; the tasks it runs stand at the offsets 0, 1, 2."""
    tasks = [
        TaskInHand(
            task_id=task_id(name), agent=ANALYST, attempt=1, started_at=T0, place=place(offset)
        )
        for offset, name in enumerate(running)
    ]
    share = Share(topic="crewline.commands.business-analyst", partitions=(0,), lag=lag)
    return WorkerHeartbeat(
        worker_id=WorkerId(worker),
        instance=instance,
        number=number,
        state=state,
        version="1.2.3",
        agents=agents,
        runtimes=runtimes,
        slots=4,
        running=tuple(tasks),
        finished=tuple(place(offset) for offset in finished),
        topics=(share,),
        started_at=T0,
        at=at(after),
        interval_seconds=lease / 3,
        lease_seconds=lease,
    )
