"""Who may run a task that moves, freezes or is cut off, by clocks the tests turn."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.fleet import MemoryFleet
from app.domain.model.dead_letters import Origin
from app.domain.model.fleet import Share, WorkerHeartbeat
from app.domain.model.ids import TaskId, WorkerId
from app.domain.use_cases.fleet import Fleet
from app.domain.use_cases.follow_fleet import FollowFleet
from app.domain.use_cases.presence import Presence, Profile
from app.domain.use_cases.run_under_lease import RunUnderLease
from app.domain.use_cases.tasks_in_hand import TasksInHand
from app.ports.event_log import LogUnavailable
from app.ports.task_queue import Again, Delivery, Shares
from tests.builders import T0, at, heartbeat, place, submitted, task_id
from tests.waiting import until

LEASE = 9.0


class Watch:
    """A clock to be turned by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class Recorder(MemoryFleet):
    """Remembers the last word of everybody, and takes none while it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.last: dict[str, WorkerHeartbeat] = {}

    async def send(self, heartbeat: WorkerHeartbeat) -> None:
        if self.away:
            raise LogUnavailable("away")
        self.last[heartbeat.worker_id] = heartbeat
        await super().send(heartbeat)


class Nothing(Shares):
    async def shares(self) -> list[Share]:
        return []

    def leave_to_others(self, agent: str) -> None:
        pass


def delivered(name: str = "t-1", offset: int = 0, *, redelivered: bool = False) -> Delivery:
    where = place(offset)
    origin = Origin(
        topic=where.topic,
        partition=where.partition,
        offset=where.offset,
        timestamp=T0,
        key=b"k",
        value=b"{}",
    )
    return Delivery(submitted(name), origin, 1, redelivered, asyncio.Event())


@dataclass
class Worker:
    """One worker of a fleet, whose handler does what the test says."""

    fleet: MemoryFleet
    watch: Watch
    work: Callable[[Delivery], Awaitable[None]]
    strict: bool = False
    culprit: TaskId | None = None
    """Who keeps this worker from working."""
    ran: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        known = Fleet(self.watch, lambda: at(0))
        self.hands = TasksInHand(
            LEASE, self.watch, strict=self.strict, culprit=lambda _: self.culprit
        )
        self.presence = Presence(
            Profile(WorkerId("us"), "now", "1", (), (), 4, T0, LEASE / 3),
            hands=self.hands,
            fleet=known,
            heartbeats=self.fleet,
            clock=MemoryClock(),
            monotonic=self.watch,
        )
        self.follow = FollowFleet(known, self.fleet, self._ping, self.watch)
        self.handle = RunUnderLease(self._run, self.presence, self.watch)

    async def _ping(self) -> None:
        return

    async def _run(self, delivery: Delivery) -> None:
        self.ran.append(delivery)
        await self.work(delivery)

    @asynccontextmanager
    async def present(self) -> AsyncIterator["Worker"]:
        loops = [
            asyncio.create_task(each) for each in (self.follow.run(), self.presence.run(Nothing()))
        ]
        try:
            await self.presence.catch_up()
            yield self
        finally:
            for each in loops:
                each.cancel()
            await asyncio.gather(*loops, return_exceptions=True)


async def at_once(_: Delivery) -> None:
    return


async def for_ever(_: Delivery) -> None:
    await asyncio.Event().wait()


@pytest.fixture
def fleet() -> Recorder:
    return Recorder()


@pytest.fixture
def watch() -> Watch:
    return Watch()


async def again_of(worker: Worker, delivery: Delivery) -> Again:
    with pytest.raises(Again) as raised:
        await worker.handle(delivery)
    return raised.value


async def test_a_task_another_worker_has_in_hand_is_put_off_and_not_counted(
    fleet: Recorder, watch: Watch
) -> None:
    await fleet.send(heartbeat("other", running=("t-1",)))
    async with Worker(fleet, watch, at_once).present() as worker:
        again = await again_of(worker, delivered(redelivered=True))
        assert (again.counted, worker.ran) == (False, [])
        assert 0 < again.seconds <= LEASE
        await worker.handle(delivered("t-2", 5, redelivered=True))
        assert len(worker.ran) == 1


async def test_what_its_owner_has_finished_is_done_and_wakes_who_waits(
    fleet: Recorder, watch: Watch
) -> None:
    await fleet.send(heartbeat("other", running=("t-1",)))
    async with Worker(fleet, watch, at_once).present() as worker:
        again = await again_of(worker, delivered(redelivered=True))
        assert again.sooner is not None
        await fleet.send(heartbeat("other", 2, finished=(0,)))
        async with asyncio.timeout(5):
            await again.sooner.wait()
        await worker.handle(delivered(redelivered=True))
        assert worker.ran == []


async def test_what_its_owner_gave_up_is_run(fleet: Recorder, watch: Watch) -> None:
    await fleet.send(heartbeat("other", running=("t-1",)))
    async with Worker(fleet, watch, at_once).present() as worker:
        again = await again_of(worker, delivered(redelivered=True))
        assert again.sooner is not None
        await fleet.send(heartbeat("other", 2))
        async with asyncio.timeout(5):
            await again.sooner.wait()
        await worker.handle(delivered(redelivered=True))
        assert len(worker.ran) == 1


async def test_a_lease_runs_out_and_a_heartbeat_renews_it(fleet: Recorder, watch: Watch) -> None:
    await fleet.send(heartbeat("other", running=("t-1",)))
    async with Worker(fleet, watch, at_once).present() as worker:
        watch.seconds += LEASE - 1
        await fleet.send(heartbeat("other", 2, running=("t-1",)))
        await worker.presence.catch_up(watch())
        watch.seconds += LEASE - 1
        assert (await again_of(worker, delivered(redelivered=True))).seconds <= 1
        watch.seconds += 2
        await worker.handle(delivered(redelivered=True))
        assert len(worker.ran) == 1


async def test_who_was_deaf_listens_before_it_takes_a_lease_for_over(
    fleet: Recorder, watch: Watch
) -> None:
    await fleet.send(heartbeat("other", running=("t-1",)))
    async with Worker(fleet, watch, at_once).present() as worker:
        watch.seconds += LEASE + 1
        fleet.away = True
        again = await again_of(worker, delivered(redelivered=True))
        assert (again.counted, worker.ran) == (False, [])


async def test_an_earlier_instance_of_ours_holds_nothing(fleet: Recorder, watch: Watch) -> None:
    await fleet.send(heartbeat("us", 77, instance="before", running=("t-1",)))
    async with Worker(fleet, watch, at_once).present() as worker:
        await worker.handle(delivered(redelivered=True))
        assert len(worker.ran) == 1


async def test_a_stopped_worker_and_a_restarted_one_hold_nothing(
    fleet: Recorder, watch: Watch
) -> None:
    await fleet.send(heartbeat("one", running=("t-1",)))
    await fleet.send(heartbeat("two", running=("t-2",)))
    async with Worker(fleet, watch, at_once).present() as worker:
        await fleet.send(heartbeat("one", 2, state="stopped"))
        await fleet.send(heartbeat("two", 1, instance="2"))
        watch.seconds += 1
        await worker.presence.catch_up(watch())
        for number, name in enumerate(("t-1", "t-2")):
            await worker.handle(delivered(name, number, redelivered=True))
        assert len(worker.ran) == 2


async def test_what_runs_is_announced_before_it_is_handed_over_and_when_it_ends(
    fleet: Recorder, watch: Watch
) -> None:
    go_on = asyncio.Event()

    async def wait(_: Delivery) -> None:
        await go_on.wait()

    async with Worker(fleet, watch, wait).present() as worker:
        delivery = delivered(offset=7)
        running = asyncio.create_task(worker.handle(delivery))
        await asyncio.sleep(0)
        await worker.presence.handing_over()
        assert worker.presence.may_finish
        ours = fleet.last["us"]
        assert [task.task_id for task in ours.running] == [task_id("t-1")]
        delivery.lost.set()
        worker.presence.taken_over()
        go_on.set()
        await running
        await until(lambda: fleet.last["us"].finished == (place(7, written_at=T0),), within=5)
        assert fleet.last["us"].running == ()


async def test_what_stood_there_before_the_topic_was_made_anew_says_nothing_of_what_stands_there(
    fleet: Recorder, watch: Watch
) -> None:
    former = place(0, written_at=at(-5)), place(1, written_at=T0)
    said = heartbeat("other", 1).model_copy(update={"finished": former})
    await fleet.send(said)
    async with Worker(fleet, watch, at_once).present() as worker:
        await worker.handle(delivered("t-1", 0, redelivered=True))
        await worker.handle(delivered("t-2", 1, redelivered=True))
        assert [delivery.origin.offset for delivery in worker.ran] == [0]


async def test_what_could_not_be_announced_may_not_be_finished(
    fleet: Recorder, watch: Watch
) -> None:
    async with Worker(fleet, watch, at_once).present() as worker:
        fleet.away = True
        await worker.presence.handing_over()
        assert not worker.presence.may_finish


async def test_who_was_cut_off_past_its_lease_finishes_nothing_it_lost(
    fleet: Recorder, watch: Watch
) -> None:
    async with Worker(fleet, watch, at_once).present() as worker:
        fleet.away = True
        for _ in range(10):
            watch.seconds += 1
            await asyncio.sleep(0.15)
        fleet.away = False
        await worker.presence.handing_over()
        assert not worker.presence.may_finish
        worker.presence.taken_over()
        await worker.presence.handing_over()
        assert worker.presence.may_finish


async def test_a_lost_run_stops_before_its_lease_is_over_when_nothing_can_be_said(
    fleet: Recorder, watch: Watch
) -> None:
    async with Worker(fleet, watch, for_ever).present() as worker:
        lost, ours = delivered("t-1"), delivered("t-2", 1)
        running = [asyncio.create_task(worker.handle(each)) for each in (lost, ours)]
        await until(lambda: len(worker.ran) == 2, within=5)
        lost.lost.set()
        fleet.away = True
        for _ in range(8):  # it is not asleep: it looks at the clock all the while
            watch.seconds += 1
            await asyncio.sleep(0.15)
        assert running[0].cancelled()
        assert watch() - 1_000 < LEASE
        assert not running[1].done(), "an outage is no reason to stop what is ours"
        running[1].cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_whoever_wants_it_strict_stops_what_is_his_too(fleet: Recorder, watch: Watch) -> None:
    async with Worker(fleet, watch, for_ever, strict=True).present() as worker:
        running = asyncio.create_task(worker.handle(delivered()))
        await until(lambda: len(worker.ran) == 1, within=5)
        fleet.away = True
        for _ in range(8):
            watch.seconds += 1
            await asyncio.sleep(0.15)
        assert running.cancelled()
        assert not (await again_of(worker, delivered())).counted


async def test_a_run_that_slept_past_its_lease_knows_before_its_next_effect(
    fleet: Recorder, watch: Watch
) -> None:
    seen: list[bool] = []

    async def sleep_deeply(delivery: Delivery) -> None:
        seen.append(worker.ran[-1].over())
        watch.seconds += 60  # without a turn of the event loop: the process was stopped
        seen.append(worker.ran[-1].over())
        await asyncio.Event().wait()

    worker = Worker(fleet, watch, sleep_deeply)
    async with worker.present():
        running = asyncio.create_task(worker.handle(delivered()))
        with pytest.raises(asyncio.CancelledError):
            await running
    assert seen == [False, True]


@pytest.mark.parametrize(
    ("culprit", "counted"),
    [(task_id("t-1"), ["t-1"]), (task_id("gone"), []), (None, ["t-1", "t-2"])],
    ids=["one of them", "none of them", "nobody knows"],
)
async def test_a_run_that_may_have_kept_its_worker_from_working_is_counted(
    fleet: Recorder, watch: Watch, culprit: TaskId | None, counted: list[str]
) -> None:
    worker = Worker(fleet, watch, for_ever, culprit=culprit)
    runs = {
        name: asyncio.create_task(worker.handle(delivered(name, offset)))
        for offset, name in enumerate(("t-1", "t-2"))
    }
    await until(lambda: len(worker.ran) == 2)
    watch.seconds += LEASE * 2
    assert worker.hands.look()
    await asyncio.gather(*runs.values(), return_exceptions=True)
    assert all(run.cancelled() for run in runs.values())
    blamed = [each.content for each in worker.ran if each.blamed]
    assert blamed == [submitted(name) for name in counted]


async def test_short_tasks_have_no_heartbeats_of_their_own(fleet: Recorder, watch: Watch) -> None:
    async with Worker(fleet, watch, at_once).present() as worker:
        await asyncio.sleep(0.25)
        before = fleet.last["us"].number
        for offset in range(500):
            await worker.handle(delivered(f"t-{offset}", offset))
        await asyncio.sleep(0.25)
        assert fleet.last["us"].number == before


async def test_many_tasks_share_the_heartbeats_that_tell_of_them(
    fleet: Recorder, watch: Watch
) -> None:
    async with Worker(fleet, watch, for_ever).present() as worker:

        def begin(offset: int) -> "asyncio.Task[None]":
            return asyncio.create_task(worker.handle(delivered(f"t-{offset}", offset)))

        running = [begin(offset) for offset in range(500)]
        await asyncio.sleep(0)
        watch.seconds += 0.2
        await until(lambda: len(fleet.last["us"].running) == 500, within=5)
        before = fleet.last["us"].number
        running.append(begin(500))
        await asyncio.sleep(0)
        watch.seconds += 0.2
        await asyncio.sleep(0.25)
        assert fleet.last["us"].number == before
        watch.seconds += 0.9
        await until(lambda: len(fleet.last["us"].running) == 501, within=5)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.timeout(60)
async def test_who_asks_at_the_moment_the_fleet_was_heard_does_not_stop_the_loop(
    fleet: Recorder,
) -> None:
    watch = Watch()
    async with Worker(fleet, watch, at_once).present() as worker:
        watch.seconds += 1
        hearing = asyncio.create_task(asyncio.sleep(0))
        await hearing
        worker.presence._catching_up = hearing
        await worker.presence.catch_up(watch())
