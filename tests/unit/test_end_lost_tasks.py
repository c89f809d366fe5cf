"""Which tasks are ended because their message was deleted, and which are in somebody's hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.endings import MemoryEndings
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.fleet import MemoryFleet
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.events import Event, TaskCanceled, TaskFailed
from app.domain.model.ids import WorkerId
from app.domain.model.lifecycle import Reason
from app.domain.model.messages import Message
from app.domain.use_cases.cancellations import Cancellations
from app.domain.use_cases.end_lost_tasks import EndLostTasks
from app.domain.use_cases.fleet import Fleet
from app.domain.use_cases.presence import Presence, Profile
from app.domain.use_cases.tasks_in_hand import TasksInHand
from app.ports.event_log import Shard
from app.ports.fleet import Heard
from app.ports.status_store import CommandPlace
from app.ports.task_queue import Deleted, Retained
from tests.builders import (
    T0,
    at,
    canceling,
    failed,
    heartbeat,
    redriven,
    retry_scheduled,
    started,
    submitted,
    task_id,
)
from tests.contracts.views import COMMANDS, RESULTS, update


class Queue(Retained):
    """Begins at offset 10, and what stood below is in nobody's hand, unless the test says so."""

    def __init__(self) -> None:
        self.in_hand: frozenset[int] = frozenset()
        self.since: datetime | None = None

    async def deleted(self) -> Sequence[Deleted]:
        return [Deleted(COMMANDS.topic, COMMANDS.partition, 10, self.in_hand, self.since)]


class Case:
    def __init__(self) -> None:
        self.queue, self.views, self.log = Queue(), MemoryStatusStore(), MemoryEventLog()
        self.clock = MemoryClock(at(60))
        self.fleet = Fleet(lambda: 0.0, lambda: at(60))
        self.cancellations = Cancellations()
        presence = Presence(
            Profile(WorkerId("us"), "now", "1", (), (), 4, T0),
            hands=TasksInHand(9, lambda: 0.0),
            fleet=self.fleet,
            heartbeats=MemoryFleet(),
            clock=self.clock,
            monotonic=lambda: 0.0,
        )
        self.end = EndLostTasks(
            self.queue,
            self.views,
            MemoryEndings(self.log),
            self.log,
            presence,
            self.cancellations,
            self.clock,
        )

    async def told(self, *messages: Message, offset: int = 3) -> None:
        """The views hear of these messages of the task t-1, whose command stands there."""
        places = {task_id(): CommandPlace(0, *COMMANDS, offset)}
        await self.views.save(replace(update(*messages), places=places))

    async def looked(self) -> list[Event]:
        """What two looks have told."""
        for _ in range(2):
            await self.end.look()
        records = (each for shard in self.log.ends() for each in self.log.records(shard))
        return [each.message for each in records if isinstance(each.message, Event)]


async def test_what_no_worker_has_read_is_lost_and_said_once() -> None:
    case = Case()
    await case.told(submitted())
    assert not await case.end.look()
    assert not case.log.ends()  # the views may lag behind
    (event,) = await case.looked()
    assert isinstance(event, TaskFailed)
    assert (event.task_id, event.attempt, event.sequence) == (task_id(), 1, 1)
    assert event.reason is Reason.LOST_BY_RETENTION
    assert len(await case.looked()) == 1  # the views do not know it yet, the log does


async def test_a_run_that_died_ends_and_one_that_was_redriven_begins_another() -> None:
    for told, place in (
        ([started()], (1, 2)),
        ([started(), failed(), redriven()], (2, 1)),
    ):
        case = Case()
        await case.told(submitted(), *told)
        (event,) = await case.looked()
        assert (event.attempt, event.sequence) == place


async def test_one_that_shall_be_canceled_is() -> None:
    case = Case()
    case.cancellations.note(canceling(reason="too late"))
    await case.told(submitted(), canceling())
    (event,) = await case.looked()
    assert isinstance(event, TaskCanceled)
    assert event.message == "too late"


async def test_what_is_still_there_or_in_somebodys_hand_or_waits_is_not_lost() -> None:
    there, held, elsewhere, waits = Case(), Case(), Case(), Case()
    await there.told(submitted(), offset=10)
    await held.told(submitted())
    held.queue.in_hand = frozenset({3})
    await elsewhere.told(submitted(), started())
    await elsewhere.fleet.hear(Heard(heartbeat("other", running=("t-1",)), live=True))
    await waits.told(submitted(), started(), retry_scheduled())
    for case in (there, held, elsewhere, waits):
        assert await case.looked() == []


async def test_what_waits_for_its_time_is_lost_when_it_should_have_been_released_long_ago() -> None:
    for minutes, since, lost in ((5, 0, 0), (15, 14, 0), (15, 0, 1)):
        for told in (
            [submitted(not_before=at(0))],
            [submitted(), started(), retry_scheduled(not_before=0), canceling()],
        ):
            case = Case()
            await case.told(*told)
            case.clock.advance(60 * minutes)
            case.queue.since = at(60 * since)
            assert len(await case.looked()) == lost


async def test_nothing_is_ended_before_the_views_have_what_was_told_when_it_was_suspected() -> None:
    case = Case()
    await case.told(submitted())
    await case.log.publish(started("another"))
    assert await case.looked() != []  # that one's start
    assert [type(each) for each in await case.looked()] == [type(started())]
    (shard,) = case.log.ends(case.log.results_topic)
    assert shard.topic == RESULTS.topic
    await case.views.save(update(before={}, after={Shard(*shard): 1}))
    assert [type(each) for each in await case.looked()][-1] is TaskFailed


async def test_what_was_in_hand_is_found_when_its_hand_is_gone() -> None:
    case = Case()
    await case.told(submitted())
    case.queue.in_hand = frozenset({3})
    assert await case.looked() == []
    case.queue.in_hand = frozenset()
    assert [type(each) for each in await case.looked()] == [TaskFailed]
