"""Run one task with its agent and record the outcome; or say why it is not run."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from app.domain.model.agents import AgentCatalog
from app.domain.model.commands import SubmitTask
from app.domain.model.errors import (
    InvalidInput,
    NotAllowed,
    PayloadTooLarge,
    Unavailable,
    UnknownAgent,
    UnknownRuntime,
)
from app.domain.model.events import TaskCanceled, TaskError, TaskRejected, TaskStarted
from app.domain.model.ids import RuntimeName, TaskId, WorkerId
from app.domain.model.lifecycle import Reason
from app.domain.use_cases.cancellations import Cancellations
from app.domain.use_cases.elsewhere import Elsewhere
from app.domain.use_cases.known_tasks import KnownTasks
from app.domain.use_cases.past_runs import Before, PastRuns
from app.domain.use_cases.refuse_message import RefuseMessage
from app.domain.use_cases.run_attempt import Canceled, run_attempt
from app.domain.use_cases.run_context import Run
from app.domain.use_cases.settle_attempt import SettleAttempt
from app.domain.use_cases.spend_on_models import Spending
from app.domain.use_cases.unseen_endings import UnseenEndings
from app.ports.agent_runtime import AgentRuntime
from app.ports.clock import Clock
from app.ports.dead_letters import DeadLetters
from app.ports.delays import Delays
from app.ports.event_log import EventLog
from app.ports.result_spool import ResultSpool
from app.ports.run_identity import RunIdentity, as_run
from app.ports.status_store import TaskFinder
from app.ports.task_queue import Again, Delivery, Undecodable
from app.ports.tracing import RunTracer, Tracing

_SHORTEST_DELAY = timedelta(milliseconds=500)


@dataclass(frozen=True)
class RunTaskHandler:
    """Handles one delivery; what it cannot record it raises, and is given the delivery again."""

    worker_id: WorkerId
    catalog: AgentCatalog
    runtimes: Mapping[RuntimeName, AgentRuntime]
    """Those this worker has, the preferred one first."""
    log: EventLog
    dead_letters: DeadLetters
    delays: Delays
    clock: Clock
    tracing: Tracing
    store: TaskFinder | None = None
    """Asked before a task runs that may have run before; without one the worker's memory serves."""
    unseen: UnseenEndings | None = None
    """Asked before that one, which may lag behind the log."""
    known: KnownTasks = field(default_factory=KnownTasks)
    cancellations: Cancellations = field(default_factory=Cancellations)
    poison_after: int = 3
    """Runs that end with the process of their worker, or break what it does with them, after which
    there is no other."""
    hold_seconds: float = 30.0
    """The longest wait for a next run that is spent here, and not with the delays."""
    spool: ResultSpool | None = None
    """Keeps results that are too large for the log."""
    elsewhere: Elsewhere | None = None
    """Asked before a task is refused that another worker may know how to run."""
    spending: Spending | None = None
    """Prices model calls and keeps budgets; without it a task that has one asks no model."""

    async def __call__(self, delivery: Delivery) -> None:
        content = delivery.content
        task_id = content.task_id if isinstance(content, Undecodable) else content.id
        with as_run(RunIdentity(task_id, content.agent, delivery.attempt)):
            await self._take(delivery)

    async def _take(self, delivery: Delivery) -> None:
        content = delivery.content
        if isinstance(content, Undecodable):
            with self._processing(delivery, None, content.task_id):
                if self._hopeless(delivery):
                    await self._refusing.give_up_unread(delivery, content)
                else:
                    await self._refusing.undecodable(delivery, content)
        elif await self.known.take(content):
            again, ended = None, False
            try:
                before = await self._before(delivery, content)
                ended = before is Before.ENDED
                if before is None:
                    with self._processing(delivery, content.traceparent, content.id) as tracer:
                        ended, again = await self._handle(delivery, content, tracer)
            finally:
                self.known.release(content, ended=ended)
            if again is not None:
                raise again

    @cached_property
    def _past(self) -> PastRuns | None:
        return PastRuns(self.store, self.unseen, self.clock) if self.store else None

    @cached_property
    def _settle(self) -> SettleAttempt:
        return SettleAttempt(
            self.dead_letters, self.delays, self.clock, self.hold_seconds, self.spool
        )

    @cached_property
    def _refusing(self) -> RefuseMessage:
        return RefuseMessage(self.worker_id, self.log, self._settle, self.store, self.known)

    def _processing(
        self, delivery: Delivery, traceparent: str | None, task_id: TaskId | None
    ) -> AbstractContextManager[RunTracer]:
        return self.tracing.processing(delivery.origin, traceparent, task_id, delivery.attempt)

    def _hopeless(self, delivery: Delivery) -> bool:
        """Whether it ended its worker, or broke what a worker does with it, time after time."""
        return delivery.interrupted >= self.poison_after

    async def _before(self, delivery: Delivery, command: SubmitTask) -> Before | None:
        """Where to ask may be what breaks, it is not asked for ever: the first ending counts."""
        if self._past is None:
            return None
        try:
            return await self._past.settle(delivery, command, self.known)
        except Unavailable:
            raise
        except Exception:
            if self._hopeless(delivery):
                return None
            raise

    async def _handle(
        self, delivery: Delivery, command: SubmitTask, tracer: RunTracer
    ) -> tuple[bool, Again | None]:
        """Bring the task to its end or to its next run: whether it has ended, else what follows.

        What follows is known to the delays where it is None.
        """
        run = Run(
            command,
            delivery.attempt,
            worker_id=self.worker_id,
            log=self.log,
            clock=self.clock,
            tracer=tracer,
            over=delivery.over,
            spending=self.spending,
        )
        cancel = self.cancellations.awaited(command.id, command.earlier)
        again = None
        if not await self._turned_away(delivery, command, run):
            if command.not_before is not None and command.not_before > self.clock.now():
                again = await self._delay(delivery, command, command.not_before, cancel)
            else:
                again = await self._attempt(delivery, command, run, cancel)
        await run.acknowledged()
        return run.ended, again

    async def _turned_away(self, delivery: Delivery, command: SubmitTask, run: Run) -> bool:
        """Whether the task shall never run; whoever waits for it has been told."""
        now = self.clock.now()
        if canceled := self.cancellations.asked(command.id):
            await run.tell(TaskCanceled, message=canceled.reason)
        elif self._hopeless(delivery):
            await self._refusing.give_up(delivery, run)
        elif command.expires_at is not None and command.expires_at <= now and _first(delivery):
            late = TaskError(code="expired", message="it was not started before it expired")
            await run.tell(TaskRejected, error=late, reason=Reason.EXPIRED)
        else:
            return False
        return True

    async def _delay(
        self, delivery: Delivery, command: SubmitTask, not_before: datetime, cancel: asyncio.Event
    ) -> Again | None:
        """Leave it to the delays; what has no room for the time beside it waits here."""
        now = self.clock.now()
        # not at once: their clock may be ahead of ours, and would send it back again and again
        soonest = now + _SHORTEST_DELAY
        earlier = command.earlier._replace(key=delivery.origin.key)
        delayed = command.model_copy(update={"earlier": earlier})
        try:
            await self.delays.put(delayed, max(not_before, soonest))
        except PayloadTooLarge:
            return Again((not_before - now).total_seconds(), cancel, counted=False)
        return None

    async def _attempt(
        self, delivery: Delivery, command: SubmitTask, run: Run, cancel: asyncio.Event
    ) -> Again | None:
        try:
            agent = self.catalog.require(command.agent)
            await agent.accept(command)
            runtime = self.runtimes[agent.runtime_for(command.runtime, self.runtimes)]
            if not agent.meters(runtime.name):
                agent.require_kept_budget(command)
        except (UnknownAgent, UnknownRuntime, InvalidInput, NotAllowed) as refusal:
            if self.elsewhere is not None and not isinstance(refusal, NotAllowed):
                wait = await self.elsewhere.wait(delivery, command, refusal)
                if wait is not None:
                    return Again(wait, sooner=cancel, counted=False)
            await self._refusing.refuse(delivery, run, refusal)
            return None
        run.allowed = agent.spec.budget
        model = command.model or agent.spec.model
        await run.tell(TaskStarted, runtime=runtime.name, model=model)
        outcome = await run_attempt(runtime, agent, command, run, cancel)
        if run.told_of_no_call and not agent.meters(runtime.name) and agent.has_budget(command):
            await run.warn_of_budget()
        if isinstance(outcome, Canceled) and (asked := self.cancellations.asked(command.id)):
            outcome = Canceled(asked.reason)
        wait = await self._settle(delivery, command, agent, run, outcome)
        return None if wait is None else Again(wait, sooner=cancel)


def _first(delivery: Delivery) -> bool:
    """Whether the task has not been started, since it was submitted or redriven."""
    earlier = delivery.content.earlier
    return delivery.attempt == earlier.attempts + 1 and not delivery.failures
