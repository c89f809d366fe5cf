"""Run one task with its agent and record the outcome; or say why it is not run."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from app.domain.model.agents import Agent, AgentCatalog
from app.domain.model.commands import SubmitTask
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import (
    InvalidInput,
    PayloadTooLarge,
    PlatformError,
    Rejected,
    RunFailed,
    Unavailable,
    UnknownAgent,
    UnknownRuntime,
)
from app.domain.model.events import (
    Result,
    TaskCompleted,
    TaskError,
    TaskFailed,
    TaskRejected,
    TaskStarted,
)
from app.domain.model.ids import AgentName, RuntimeName, TaskId, WorkerId
from app.domain.model.lifecycle import Reason
from app.domain.use_cases.run_context import Run
from app.ports.agent_runtime import AgentRuntime, TaskInput
from app.ports.clock import Clock
from app.ports.dead_letters import DeadLetters
from app.ports.event_log import EventLog
from app.ports.status_store import StatusStore
from app.ports.task_queue import Delivery, Undecodable
from app.ports.tracing import RunTracer, Tracing

_REMEMBERED = 10_000


class KnownTasks:
    """Which tasks this worker has in hand, and which it finished lately."""

    def __init__(self) -> None:
        self._running: dict[TaskId, asyncio.Event] = {}
        self._finished: OrderedDict[TaskId, None] = OrderedDict()

    async def take(self, task_id: TaskId) -> bool:
        """Wait while another delivery of this task runs. False: it is finished, do not run it."""
        while over := self._running.get(task_id):
            await over.wait()
        if task_id in self._finished:
            return False
        self._running[task_id] = asyncio.Event()
        return True

    def heard_of(self, task_id: TaskId) -> bool:
        """Whether this worker has it in hand, or finished it lately."""
        return task_id in self._running or task_id in self._finished

    def release(self, task_id: TaskId, *, finished: bool) -> None:
        """This delivery is over; `finished` when its terminal event is durable."""
        self._running.pop(task_id).set()
        if finished:
            self._finished[task_id] = None
            if len(self._finished) > _REMEMBERED:
                self._finished.popitem(last=False)


@dataclass(frozen=True, slots=True)
class RunTaskHandler:
    """Handles one delivery; what it cannot record it raises, and is given the delivery again."""

    worker_id: WorkerId
    catalog: AgentCatalog
    runtimes: Mapping[RuntimeName, AgentRuntime]
    """Those this worker has, the preferred one first."""
    log: EventLog
    dead_letters: DeadLetters
    clock: Clock
    tracing: Tracing
    store: StatusStore | None = None
    """Asked before a task runs that may have run before; without one the worker's memory serves."""
    known: KnownTasks = field(default_factory=KnownTasks)

    async def __call__(self, delivery: Delivery) -> None:
        content = delivery.content
        if isinstance(content, Undecodable):
            with self._processing(delivery, None, content.task_id):
                await self._refuse_undecodable(delivery, content)
            return
        if not await self.known.take(content.id):
            return
        finished = False
        try:
            if not await self._ended_before(delivery, content.id):
                with self._processing(delivery, content.traceparent, content.id) as tracer:
                    await self._handle(delivery, content, tracer)
            finished = True
        finally:
            self.known.release(content.id, finished=finished)

    def _processing(
        self, delivery: Delivery, traceparent: str | None, task_id: TaskId | None
    ) -> AbstractContextManager[RunTracer]:
        return self.tracing.processing(delivery.origin, traceparent, task_id, delivery.attempt)

    async def _ended_before(self, delivery: Delivery, task_id: TaskId) -> bool:
        if not delivery.redelivered or self.store is None:
            return False
        task = await self.store.find(task_id)
        return task is not None and task.state.terminal

    async def _handle(self, delivery: Delivery, command: SubmitTask, tracer: RunTracer) -> None:
        run = Run(
            command,
            delivery.attempt,
            worker_id=self.worker_id,
            log=self.log,
            clock=self.clock,
            tracer=tracer,
        )
        try:
            agent = self.catalog.require(command.agent)
            agent.accept(command)
            runtime = self.runtimes[agent.runtime_for(command.runtime, self.runtimes)]
        except (UnknownAgent, UnknownRuntime, InvalidInput) as refusal:
            await self._refuse(delivery, run, refusal)
            return
        if command.expires_at is not None and command.expires_at <= self.clock.now():
            late = TaskError(code="expired", message="it was not started before it expired")
            await run.tell(TaskRejected, error=late, reason=Reason.EXPIRED)
        else:
            await run.tell(
                TaskStarted, runtime=runtime.name, model=command.model or agent.spec.model
            )
            await self._run(run, runtime, agent, command)
        await run.acknowledged()

    async def _run(
        self, run: Run, runtime: AgentRuntime, agent: Agent, command: SubmitTask
    ) -> None:
        task = TaskInput(
            task_id=command.id,
            input=command.input,
            parameters=command.parameters,
            context_id=command.context_id,
            model=command.model,
        )
        seconds = command.timeout_seconds or agent.spec.timeout_seconds
        try:
            result = await _within(seconds, run, runtime.run(agent.spec, task, run))
            await self._complete(run, result)
        except RunFailed as failure:
            await self._fail(
                run, failure.failure_code, failure.message, retryable=failure.failure_retryable
            )
        except Unavailable:
            raise  # something of ours is away: the delivery comes again
        except PlatformError as error:
            await self._fail(run, error.code, error.message)
        except _DeadlineExceeded:
            code = Reason.DEADLINE_EXCEEDED
            await self._fail(run, code, f"the run took longer than its {seconds:g} s", reason=code)
        except Exception as error:  # noqa: BLE001  # an agent's bug ends its task, not the worker
            await self._fail(run, "agent-error", _said(error))

    async def _complete(self, run: Run, result: Result) -> None:
        try:
            await run.tell(TaskCompleted, result=result, usage=run.usage)
        except PayloadTooLarge as error:
            await self._fail(run, error.code, f"the result is too large: {error.message}")

    async def _fail(
        self,
        run: Run,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        reason: Reason | None = None,
    ) -> None:
        error = TaskError(code=code, message=message[:4_000], retryable=retryable)
        await run.tell(TaskFailed, error=error, reason=reason, usage=run.usage)

    # --- messages that are no task we could run

    async def _refuse(self, delivery: Delivery, run: Run, refusal: Rejected) -> None:
        reason = (
            DeadLetterReason.UNKNOWN_AGENT
            if isinstance(refusal, UnknownAgent)
            else DeadLetterReason.INVALID
        )
        await self._bury(delivery, reason, refusal.message, run.task_id)
        error = TaskError(code=refusal.code, message=refusal.message)
        await run.tell(TaskRejected, error=error, reason=Reason.DEAD_LETTERED)
        await run.acknowledged()

    async def _refuse_undecodable(self, delivery: Delivery, content: Undecodable) -> None:
        await self._bury(delivery, DeadLetterReason.UNDECODABLE, content.detail, content.task_id)
        if content.task_id is None or content.agent is None:
            return
        if self.known.heard_of(content.task_id) or (
            self.store is not None and await self.store.find(content.task_id)
        ):
            return  # a stray message with a real task's id must not end that task
        error = TaskError(code=DeadLetterReason.UNDECODABLE, message=content.detail)
        await self.log.publish(
            TaskRejected(
                task_id=content.task_id,
                agent=AgentName(content.agent),
                attempt=delivery.attempt,
                sequence=1,
                at=self.clock.now(),
                worker_id=self.worker_id,
                error=error,
                reason=Reason.DEAD_LETTERED,
            )
        )

    async def _bury(
        self, delivery: Delivery, reason: DeadLetterReason, detail: str, task_id: TaskId | None
    ) -> None:
        letter = DeadLetter(
            origin=delivery.origin,
            reason=reason,
            detail=detail,
            task_id=task_id,
            at=self.clock.now(),
        )
        await self.dead_letters.put(letter)


class _DeadlineExceeded(Exception):
    """The run's time was over; its work has stopped."""


async def _within(seconds: float, run: Run, work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for an agent's work; whoever ends it early tells the agent first, then stops it."""
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({working}, timeout=seconds)
        if working.done():
            return working.result()
    finally:
        if not working.done():
            run.stopping = True
            working.cancel()
            await asyncio.wait({working})
    raise _DeadlineExceeded


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
