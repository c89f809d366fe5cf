"""Accept a task for an agent we know, and hand it to that agent's workers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.domain.model.agents import AgentCatalog
from app.domain.model.commands import SubmitTask, TaskRequest
from app.domain.model.errors import Conflict, Rejected, TaskExists
from app.domain.model.ids import TaskId, derived_task_id, uuid7
from app.domain.model.task import Task, describe
from app.domain.use_cases.admit_task import Admission
from app.domain.use_cases.recent_requests import RecentRequests, digest_of
from app.ports.clock import Clock
from app.ports.event_log import EventLog
from app.ports.status_store import StatusStore


class KeyReused(Rejected):
    """The idempotency key belongs to another request."""

    code = "idempotency-key-reused"


class StillAccepting(Conflict):
    """The same request came before and is just being accepted."""

    code = "still-accepting"
    retryable = True


@dataclass(frozen=True, slots=True)
class SubmitTaskHandler:
    catalog: AgentCatalog
    log: EventLog
    store: StatusStore
    clock: Clock
    recent: RecentRequests = field(default_factory=RecentRequests)
    admission: Admission | None = None
    """Refuses what would wait too long; None lets everything in."""

    async def __call__(
        self,
        request: TaskRequest,
        idempotency_key: str | None = None,
        traceparent: str | None = None,
        announce: Callable[[TaskId], None] = lambda _: None,
    ) -> Task:
        """Return the task once its command is durable.

        A request with an id, or an idempotency key, that was accepted before returns that task as
        it stands. With a different body it raises `TaskExists` for an id and `KeyReused` for a
        key; while the first one is being accepted, `StillAccepting`. Raises `UnknownAgent`,
        `UnknownRuntime`, `InvalidInput`, `NotAllowed` or `BacklogFull` before it is published.
        `traceparent` is the trace the task becomes part of. `announce` is told the id of a new
        task right before it is published, so that nothing of it is missed.
        """
        await self.catalog.require(request.agent).accept(request)
        task_id = request.id
        if task_id is None and idempotency_key is not None:
            task_id = derived_task_id("idempotency-key", idempotency_key)
        if task_id is not None:
            return await self._once(request, task_id, traceparent, announce)
        self._admit(request)
        task_id = TaskId(uuid7(self.clock.now(), self.clock.entropy()))
        command = self._command(request, task_id, traceparent)
        announce(task_id)
        await self.log.publish(command)
        return describe(command, None)

    async def _once(
        self,
        request: TaskRequest,
        task_id: TaskId,
        traceparent: str | None,
        announce: Callable[[TaskId], None],
    ) -> Task:
        if self.recent.pending(task_id):
            raise StillAccepting(f"task {task_id} is being accepted at this moment; ask again")
        if known := self.recent.accepted(task_id):
            self._require_same(request, task_id, known.request_is(request))
            first = SubmitTask.of(request, task_id, known.submitted_at)
            first = first.model_copy(update={"traceparent": known.traceparent})
            return await self.store.find(task_id) or describe(first, None)
        with self.recent.accepting(task_id, request) as remember:
            if task := await self.store.find(task_id):
                asked = await self.store.command(task_id)
                same = asked is not None and digest_of(asked) == digest_of(request)
                self._require_same(request, task_id, same)
                return task
            self._admit(request)
            command = self._command(request, task_id, traceparent)
            announce(task_id)
            await self.log.publish(command)
            remember(command)
        return describe(command, None)

    def _admit(self, request: TaskRequest) -> None:
        if self.admission is not None:
            self.admission.admit(self.catalog.require(request.agent), request.priority)

    def _command(
        self, request: TaskRequest, task_id: TaskId, traceparent: str | None
    ) -> SubmitTask:
        command = SubmitTask.of(request, task_id, self.clock.now())
        return command.model_copy(update={"traceparent": traceparent})

    def _require_same(self, request: TaskRequest, task_id: TaskId, same: bool) -> None:
        if same:
            return
        if request.id is None:
            raise KeyReused("this idempotency key was used before with a different request")
        raise TaskExists(f"task {task_id} was submitted before with a different request")
