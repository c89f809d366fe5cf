"""Accept a task for an agent we know, and hand it to that agent's workers."""

from dataclasses import dataclass

from app.domain.model.agents import AgentCatalog
from app.domain.model.commands import SubmitTask, TaskBody, TaskRequest
from app.domain.model.errors import TaskExists
from app.domain.model.ids import TaskId, derived_task_id, uuid7
from app.domain.model.task import Task, describe
from app.ports.clock import Clock
from app.ports.event_log import EventLog
from app.ports.status_store import StatusStore


@dataclass(frozen=True, slots=True)
class SubmitTaskHandler:
    catalog: AgentCatalog
    log: EventLog
    store: StatusStore
    clock: Clock

    async def __call__(self, request: TaskRequest, idempotency_key: str | None = None) -> Task:
        """Return the task once its command is durable.

        A request with an id, or an idempotency key, that was accepted before returns that task as
        it stands; with a different body it raises `TaskExists`. Raises `UnknownAgent`,
        `UnknownRuntime` or `InvalidInput` before anything is published.
        """
        self.catalog.require(request.agent).accept(request)
        task_id = request.id
        if task_id is None and idempotency_key is not None:
            task_id = derived_task_id("idempotency-key", idempotency_key)
        if task_id is not None and (task := await self.store.find(task_id)):
            return self._same(task, request)
        now = self.clock.now()
        command = SubmitTask.of(request, task_id or TaskId(uuid7(now, self.clock.entropy())), now)
        await self.log.publish(command)
        return describe(command, None)

    def _same(self, task: Task, request: TaskRequest) -> Task:
        kept = {"input", "parameters", "context_id", "labels"} & TaskBody.model_fields.keys()
        same = all(getattr(task, name) == getattr(request, name) for name in kept)
        if not same or task.agent != request.agent:
            raise TaskExists(f"task {task.id} was submitted before with a different request")
        return task
