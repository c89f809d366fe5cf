"""The fleet as the gateway shows it: each worker by its last heartbeat."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from pydantic import ConfigDict, Field

from app.domain.model.agents import AgentCatalog
from app.domain.model.fleet import Share, TaskInHand
from app.domain.model.ids import AgentName, RuntimeName
from app.domain.model.lifecycle import Reason, TaskState
from app.domain.model.messages import Timestamp
from app.domain.model.task import TaskSummary
from app.domain.use_cases.fleet import Fleet, Health, Member
from app.entrypoints.gateway.resources import Resource

T = TypeVar("T", bound=TaskSummary)
_UNHEARD = 15.0
"""Seconds without word of the fleet after which nobody knows who lives."""


class RunningTask(TaskInHand, Resource):
    """A task a worker has in hand."""

    age_seconds: float = Field(description="For how long it has been running.")


class WorkerResource(Resource):
    """A worker, and what it has in hand."""

    model_config = ConfigDict(title="Worker")

    id: str
    state: Health = Field(
        description="`stale` when no heartbeat was heard for as long as its lease lasts."
    )
    phase: Literal["working", "draining", "stopped"] = Field(
        description="What it said last; one that drains takes nothing new."
    )
    instance: str = Field(description="Another one after each restart.")
    version: str
    agents: tuple[str, ...] = Field(description="Those it can run.")
    runtimes: tuple[str, ...] = Field(description="The ways it can run them.")
    slots: int = Field(description="How many tasks it runs at once.")
    running: tuple[RunningTask, ...]
    topics: tuple[Share, ...] = Field(description="What it reads.")
    lag: int = Field(description="Tasks that are its own and have not been started.")
    started_at: Timestamp
    last_seen: Timestamp
    age_seconds: float = Field(description="How old its last heartbeat is.")
    lease_seconds: float = Field(
        description="For how long after it nobody else runs a task that it listed."
    )

    @classmethod
    def of(cls, member: Member, now: float, wall: datetime) -> "WorkerResource":
        said, age = member.heartbeat, member.age(now)
        return cls(
            id=said.worker_id,
            state=member.health(now),
            phase=said.state,
            instance=said.instance,
            version=said.version,
            agents=said.agents,
            runtimes=said.runtimes,
            slots=said.slots,
            running=tuple(
                RunningTask(
                    **task.model_dump(include=set(TaskInHand.model_fields)),
                    age_seconds=_seconds((said.at - task.started_at).total_seconds() + age),
                )
                for task in said.running
            ),
            topics=said.topics,
            lag=sum(share.lag for share in said.topics),
            started_at=said.started_at,
            last_seen=wall - timedelta(seconds=age),
            age_seconds=_seconds(age),
            lease_seconds=said.lease_seconds,
        )


class WorkerList(Resource):
    """The fleet, by name."""

    items: list[WorkerResource]
    as_of: Timestamp | None = Field(
        description="When this was last certain to be all there is; null if it never was."
    )
    age_seconds: float | None = Field(
        description="How long ago that was; it grows while the broker is away."
    )

    @classmethod
    def of(cls, fleet: Fleet) -> "WorkerList":
        """As it was when we last knew: a broker that is away makes no worker look stale."""
        now, wall = fleet.now()
        known = fleet.in_touch_at
        if known is None:
            return cls(items=[], as_of=None, age_seconds=None)
        since = timedelta(seconds=now - known)
        items = [WorkerResource.of(each, known, wall - since) for each in fleet.members()]
        return cls(items=items, as_of=wall - since, age_seconds=_seconds(now - known))


def live_workers(fleet: Fleet, agent: str) -> int:
    """How many workers can run this agent's tasks now."""
    return sum(agent in member.heartbeat.agents for member in healthy(fleet))


def attended(task: T, catalog: AgentCatalog, fleet: Fleet) -> T:
    """The task; where it waits and no live worker can run it, its `status_message` says so.

    Where nobody knows who lives, nothing is said.
    """
    waits = task.state is TaskState.SUBMITTED and task.reason is not Reason.CANCELING
    if not waits or not task.agent or task.status_message or fleet.in_touch_at is None:
        return task
    if fleet.now()[0] - fleet.in_touch_at > _UNHEARD:
        return task
    wanted = {task.runtime} if task.runtime else _runtimes_of(catalog, task.agent)
    for member in healthy(fleet):
        told = member.heartbeat
        if task.agent in told.agents and (not wanted or wanted & set(told.runtimes)):
            return task
    by = f" by {' or '.join(sorted(wanted))}" if wanted else ""
    message = f"no live worker can run {task.agent}{by}; the task waits for one"
    return task.model_copy(update={"status_message": message})


def _runtimes_of(catalog: AgentCatalog, name: AgentName) -> set[RuntimeName]:
    """None of an agent that is in no catalog here: a worker may know it."""
    return next((set(agent.spec.runtimes) for agent in catalog if agent.name == name), set())


def healthy(fleet: Fleet) -> Sequence[Member]:
    known = fleet.in_touch_at
    if known is None:
        return []
    return [each for each in fleet.members() if each.health(known) == "healthy"]


def _seconds(age: float) -> float:
    return round(max(age, 0.0), 3)
