"""What each process is made of."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.adapters.local.clock import SystemClock, monotonic
from app.adapters.local.loop_watch import watching_loop
from app.adapters.local.worker_identity import claim_worker_identity
from app.domain.model.agents import AgentCatalog
from app.domain.model.ids import AgentName, RuntimeName, WorkerId
from app.domain.use_cases.admit_task import Admission
from app.domain.use_cases.await_result import ResultWaiters
from app.domain.use_cases.cancel_task import CancelTaskHandler
from app.domain.use_cases.cancellations import Cancellations
from app.domain.use_cases.elsewhere import Elsewhere
from app.domain.use_cases.end_lost_tasks import EndLostTasks
from app.domain.use_cases.heed_cancels import HeedfulQueue
from app.domain.use_cases.presence import Presence
from app.domain.use_cases.project_status import ProjectStatus
from app.domain.use_cases.read_letters import ReadLetters
from app.domain.use_cases.read_status import ReadStatus
from app.domain.use_cases.release_delayed import ReleaseDelayed
from app.domain.use_cases.run_task import RunTaskHandler
from app.domain.use_cases.submit_task import SubmitTaskHandler
from app.domain.use_cases.unread_topics import UnreadTopics
from app.domain.use_cases.unseen_endings import UnseenEndings
from app.domain.use_cases.views_lag import ViewsLag
from app.entrypoints.bootstrap.agents import agents_of, runtimes_of
from app.entrypoints.bootstrap.broker import Broker
from app.entrypoints.bootstrap.fleet import Worker, followed, present_queue
from app.entrypoints.bootstrap.isolation import spool_of
from app.entrypoints.bootstrap.limits import open_limits
from app.entrypoints.bootstrap.telemetry import VERSION, Observed
from app.entrypoints.settings import Settings
from app.ports.delays import DelayQueue
from app.ports.event_log import EventFeed, LogUnavailable
from app.ports.status_store import PastTasks
from app.ports.task_queue import TaskQueue

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.entrypoints.admin.projector_meter import ProjectorMeter
    from app.entrypoints.admin.worker_meter import WorkerMeter
    from app.entrypoints.bootstrap.stores import Store
    from app.entrypoints.gateway.draining import Draining

_log = logging.getLogger(__name__)


@asynccontextmanager
async def gateway(
    settings: Settings,
    catalog: AgentCatalog,
    broker: Broker,
    store: "Store",
    *,
    observed: Observed,
    draining: "Draining",
) -> AsyncIterator["FastAPI"]:
    """The HTTP application, listening to the results as long as the context is open."""
    from app.entrypoints.gateway.app import create_app  # noqa: PLC0415  workers serve no HTTP
    from app.entrypoints.gateway.request_guard import hosts_of  # noqa: PLC0415
    from app.entrypoints.gateway.services import (  # noqa: PLC0415
        GatewayLimits,
        GatewayServices,
        LetterServices,
    )

    clock, tail = SystemClock(), broker.tail()
    waiters = ResultWaiters(tail)
    async with (
        broker.log() as log,
        broker.backlogs(settings.worker.group) as backlogs,
        broker.log_ends() as ends,
    ):
        lag = ViewsLag(ends, store.status)
        status = ReadStatus(store.status, waiters, clock, lag)
        gateway = settings.gateway
        admission = Admission(
            backlogs, clock, gateway.max_backlog, critical_passes=gateway.critical_passes_backlog
        )
        observed_log, follow = observed.log(log, broker), followed(broker, log)
        loops: dict[str, asyncio.Task[None]] = {}
        app = create_app(
            GatewayServices(
                submit=SubmitTaskHandler(
                    catalog, observed_log, store.status, clock, admission=admission
                ),
                letters=LetterServices.of(
                    ReadLetters(store.letters, store.status, lag=lag),
                    observed_log,
                    log.redelivery(),
                    catalog,
                    clock,
                    limit=settings.gateway.max_redrives,
                ),
                cancel=CancelTaskHandler(observed_log, status, clock),
                status=status,
                store=store.status,
                catalog=catalog,
                version=VERSION,
                readiness={
                    "broker": log.ping,
                    "store": store.status.ping,
                    "listeners": partial(_all_alive, loops),
                },
                limits=GatewayLimits(
                    max_body_bytes=settings.gateway.max_body_bytes,
                    max_wait_seconds=settings.gateway.max_wait_seconds,
                    max_streams=settings.gateway.max_streams,
                    max_waiting=settings.gateway.max_waiting,
                    heartbeat_seconds=settings.gateway.heartbeat_seconds,
                ),
                docs=settings.gateway.docs,
                cors_origins=tuple(settings.gateway.cors_origins),
                allowed_hosts=hosts_of(settings.gateway.host, settings.gateway.allowed_hosts),
                current_trace_id=observed.current_trace_id,
                fleet=follow.fleet,
            ),
            draining,
        )
        observed.instrument(app)
        loops |= {
            "results": asyncio.create_task(waiters.run()),
            "backlogs": asyncio.create_task(admission.watch()),
            "workers": asyncio.create_task(follow.run()),
            "unread topics": asyncio.create_task(UnreadTopics(backlogs, follow.fleet).watch()),
        }
        for what, loop in loops.items():
            loop.add_done_callback(partial(_say_if_broken, what))
        try:
            yield app
        finally:
            for loop in loops.values():
                loop.cancel()
            await asyncio.gather(*loops.values(), return_exceptions=True)


def _say_if_broken(what: str, loop: "asyncio.Task[None]") -> None:
    if error := _broken(loop):
        _log.error("this gateway hears of %s no more", what, exc_info=error)


def _broken(loop: "asyncio.Task[None]") -> BaseException | None:
    return loop.exception() if loop.done() and not loop.cancelled() else None


async def _all_alive(loops: "Mapping[str, asyncio.Task[None]]") -> None:
    """Return if the gateway hears all it must hear, else raise `LogUnavailable`."""
    if deaf := [what for what, loop in loops.items() if _broken(loop)]:
        raise LogUnavailable(f"it hears of {' and '.join(deaf)} no more")


@dataclass(frozen=True, slots=True)
class WorkerParts:
    id: WorkerId
    catalog: AgentCatalog
    queue: TaskQueue
    handle: RunTaskHandler
    presence: Presence
    lost: EndLostTasks
    delays: DelayQueue
    release: ReleaseDelayed
    ping: Callable[[], Awaitable[None]]
    """Returns if the broker answers, else raises `LogUnavailable`."""


@asynccontextmanager
async def worker(
    settings: Settings,
    catalog: AgentCatalog,
    broker: Broker,
    store: PastTasks,
    *,
    observed: Observed,
    meter: "WorkerMeter | None" = None,
) -> AsyncIterator[WorkerParts]:
    """A worker under an identity of its own; `store` is where it looks up what may have run."""
    cancellations = Cancellations()
    settings = agents_of(settings, catalog)
    folder = settings.worker.runtime_folder
    async with AsyncExitStack() as stack:
        limits = await stack.enter_async_context(open_limits(settings))
        runtimes = runtimes_of(settings, catalog, limits)
        for runtime in runtimes.values():
            await runtime.warm_up()
        identity = stack.enter_context(
            claim_worker_identity(settings.worker.id, Path(folder) if folder else None)
        )
        plain_log = await stack.enter_async_context(broker.log())
        await plain_log.learn_limits()
        letters = await stack.enter_async_context(broker.dead_letters())
        log = observed.log(plain_log, broker)
        delays = plain_log.delay_queue(identity.id, cancellations.unwanted)
        cancellations.tell = delays.hurry
        watch = stack.enter_context(watching_loop(meter.note_blocked if meter else _nobody_counts))
        present, retained = present_queue(
            settings.worker,
            broker,
            plain_log,
            Worker(identity.id, catalog, runtimes.keys(), _others(catalog, runtimes)),
            watch.culprit,
        )
        yield WorkerParts(
            id=identity.id,
            catalog=catalog,
            queue=HeedfulQueue(present, broker.control(), cancellations),
            handle=RunTaskHandler(
                worker_id=identity.id,
                catalog=catalog,
                runtimes=runtimes,
                log=meter.log(log, [agent.name for agent in catalog]) if meter else log,
                dead_letters=meter.dead_letters(letters) if meter else letters,
                delays=plain_log.delays(),
                clock=SystemClock(),
                tracing=observed.tracing(settings.worker.group),
                elsewhere=Elsewhere(
                    present.presence,
                    monotonic,
                    present.shares.leave_to_others,
                    settings.worker.refuse_after_seconds,
                ),
                spending=limits.spending,
                store=store,
                unseen=UnseenEndings(store, broker.endings(), SystemClock()),
                cancellations=cancellations,
                poison_after=settings.worker.poison_after,
                hold_seconds=settings.worker.hold_seconds,
                spool=spool_of(settings.worker),
            ),
            delays=delays,
            presence=present.presence,
            lost=EndLostTasks(
                retained,
                store,
                broker.endings(),
                log,
                present.presence,
                cancellations,
                SystemClock(),
            ),
            # by the plain log: what is released keeps the trace it was sent with
            release=ReleaseDelayed(plain_log, letters, SystemClock()),
            ping=plain_log.ping,
        )


def _nobody_counts(agent: str, seconds: float) -> None:
    """Without a port for metrics."""


def _others(catalog: AgentCatalog, runtimes: Collection[RuntimeName]) -> list[AgentName]:
    """Agents that need a runtime which is not among these."""
    return [agent.name for agent in catalog if not set(runtimes) & agent.spec.runtimes.keys()]


@dataclass(frozen=True, slots=True)
class ProjectorParts:
    project: ProjectStatus
    feed: EventFeed
    id: str | None
    """Its name in its group, if it is in one."""


@contextmanager
def projector(
    settings: Settings,
    broker: Broker,
    store: "Store",
    observed: Observed,
    meter: "ProjectorMeter | None" = None,
    *,
    alone: bool = False,
) -> Iterator[ProjectorParts]:
    """A projector that shares the log with its group, or reads all of it `alone`.

    In its group it has an identity of its own, as a worker has.
    """
    own = settings.projector
    folder = Path(own.runtime_folder) if own.runtime_folder else None
    with ExitStack() as stack:
        member = None
        if not alone:
            claimed = claim_worker_identity(own.id, folder, among=own.group)
            member = stack.enter_context(claimed).id
        feed = broker.feed(None if alone else own.group, member)
        feed = meter.feed(feed) if meter else feed
        views = observed.views(store.views, broker, own.group)
        yield ProjectorParts(ProjectStatus(feed, views), feed, member)
