"""What makes a worker known to its fleet, and the fleet known to whoever asks."""

import secrets
from collections.abc import Callable, Collection, KeysView
from dataclasses import dataclass

from app.adapters.local.clock import SystemClock, monotonic
from app.domain.model.agents import AgentCatalog
from app.domain.model.ids import AgentName, RuntimeName, TaskId, WorkerId
from app.domain.use_cases.elsewhere import edition_of
from app.domain.use_cases.fleet import Fleet
from app.domain.use_cases.follow_fleet import FollowFleet
from app.domain.use_cases.presence import Presence, Profile
from app.domain.use_cases.present_queue import PresentQueue
from app.domain.use_cases.tasks_in_hand import TasksInHand
from app.entrypoints.bootstrap.broker import Broker, Log
from app.entrypoints.bootstrap.telemetry import VERSION
from app.entrypoints.settings import WorkerSettings
from app.ports.task_queue import Retained


@dataclass(frozen=True, slots=True)
class Worker:
    """Who a worker is, and what it can do."""

    id: WorkerId
    catalog: AgentCatalog
    runtimes: KeysView[RuntimeName]
    others: Collection[AgentName]
    """Agents it cannot run."""


def followed(broker: Broker, log: Log, own: WorkerId | None = None) -> FollowFleet:
    """What a process, itself a worker or not, hears of the fleet, as long as it is run."""
    fleet = Fleet(monotonic, SystemClock().now, own=own)
    return FollowFleet(fleet, broker.fleet(), log.ping, monotonic)


def present_queue(
    settings: WorkerSettings,
    broker: Broker,
    log: Log,
    worker: Worker,
    culprit: Callable[[float], TaskId | None],
) -> tuple[PresentQueue, Retained]:
    """The worker's queue, while which runs the worker is present, and what is left of it.

    `culprit` knows who keeps this process from working.
    """
    clock, follow = SystemClock(), followed(broker, log, worker.id)
    named = set(map(AgentName, settings.agents))
    known = [each for each in worker.catalog if not named or each.name in named]
    known = [each for each in known if each.name not in worker.others]
    presence = Presence(
        Profile(
            worker_id=worker.id,
            instance=secrets.token_hex(8),
            version=VERSION,
            agents=tuple(each.name for each in known),
            editions={each.name: edition_of(each.spec) for each in known},
            runtimes=tuple(worker.runtimes),
            slots=settings.slots,
            started_at=clock.now(),
            interval_seconds=settings.heartbeat_seconds,
        ),
        hands=TasksInHand(
            settings.lease_seconds, monotonic, strict=settings.lease_strict, culprit=culprit
        ),
        fleet=follow.fleet,
        heartbeats=log.heartbeats(),
        clock=clock,
        monotonic=monotonic,
    )
    runs = {each.name: worker.runtimes & each.spec.runtimes.keys() for each in known}
    queue = broker.queue(settings, worker.id, worker.others, runs, presence)
    return PresentQueue(queue, queue, presence, follow, monotonic), queue
