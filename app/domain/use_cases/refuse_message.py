"""Set aside a message that is no task we could run, and say so where it can be told of which."""

from dataclasses import dataclass

from app.domain.model.dead_letters import DeadLetterReason
from app.domain.model.errors import Rejected, UnknownAgent
from app.domain.model.events import TaskError, TaskFailed, TaskRejected
from app.domain.model.ids import AgentName, TaskId, WorkerId
from app.domain.model.lifecycle import Reason
from app.domain.use_cases.known_tasks import KnownTasks
from app.domain.use_cases.run_context import Run
from app.domain.use_cases.settle_attempt import SettleAttempt
from app.ports.event_log import EventLog
from app.ports.status_store import TaskFinder
from app.ports.task_queue import Delivery, Undecodable


@dataclass(frozen=True, slots=True)
class RefuseMessage:
    worker_id: WorkerId
    log: EventLog
    settle: SettleAttempt
    store: TaskFinder | None
    known: KnownTasks

    async def refuse(self, delivery: Delivery, run: Run, refusal: Rejected) -> None:
        """A task that no agent here takes."""
        unknown = isinstance(refusal, UnknownAgent)
        reason = DeadLetterReason.UNKNOWN_AGENT if unknown else DeadLetterReason.INVALID
        await self.settle.bury(delivery, reason, refusal.message, run.task_id)
        error = TaskError(code=refusal.code, message=refusal.message)
        await run.tell(TaskRejected, error=error, reason=Reason.DEAD_LETTERED)

    async def give_up(self, delivery: Delivery, run: Run) -> None:
        """A task that ended its worker, or broke what it does with it, time after time."""
        code, message = DeadLetterReason.POISON, _why_hopeless(delivery)
        await self.settle.bury(delivery, code, message, run.task_id)
        error = TaskError(code=code, message=message)
        await run.tell(TaskFailed, error=error, reason=Reason.DEAD_LETTERED)

    async def give_up_unread(self, delivery: Delivery, content: Undecodable) -> None:
        """The same of a message that is no task."""
        detail = f"{_why_hopeless(delivery)}; {content.detail}"
        await self.settle.bury(delivery, DeadLetterReason.POISON, detail, content.task_id)

    async def undecodable(self, delivery: Delivery, content: Undecodable) -> None:
        """A message that is no task."""
        reason = DeadLetterReason.UNDECODABLE
        await self.settle.bury(delivery, reason, content.detail, content.task_id)
        if content.task_id is None or content.agent is None:
            return
        if await self._is_another(content.task_id):
            return  # a stray message with a real task's id must not end that task
        await self.log.publish(
            TaskRejected(
                task_id=content.task_id,
                agent=AgentName(content.agent),
                attempt=delivery.attempt,
                sequence=1,
                at=self.settle.clock.now(),
                worker_id=self.worker_id,
                error=TaskError(code=reason, message=content.detail),
                reason=Reason.DEAD_LETTERED,
            )
        )

    async def _is_another(self, task_id: TaskId) -> bool:
        """Whether a task goes by this id that no such message ended before."""
        if self.known.heard_of(task_id):
            return True
        task = await self.store.find(task_id) if self.store else None
        return task is not None and not any(each.undecodable for each in task.attempts)


def _why_hopeless(delivery: Delivery) -> str:
    if delivery.broke_by is None:
        return f"{delivery.interrupted} runs ended with the process of their worker"
    return f"{delivery.interrupted} runs broke their worker, the last one by {delivery.broke_by}"
