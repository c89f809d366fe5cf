"""A worker knows what is canceled before it takes a task."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from app.adapters.memory.control import MemoryControl
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.task_queue import MemoryTaskQueue, MemoryTasks
from app.domain.model.commands import CancelTask, Earlier
from app.domain.model.dead_letters import Origin
from app.domain.use_cases.cancellations import Cancellations
from app.domain.use_cases.heed_cancels import HeedfulQueue
from app.ports.control import Control
from app.ports.task_queue import Again, Delivery, Handle, TaskQueue
from tests.builders import at, canceling, submitted, task_id
from tests.waiting import until


class SlowControl(Control):
    """Has caught up when the test says so."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()

    async def listen(self, hear: Callable[[CancelTask], None]) -> None:
        await asyncio.Event().wait()

    async def caught_up(self) -> None:
        await self.ready.wait()


class BrokenControl(SlowControl):
    async def listen(self, hear: Callable[[CancelTask], None]) -> None:
        raise RuntimeError("a bug")


class Taken:
    """A handler that remembers what was canceled when it was given a task."""

    def __init__(self, cancellations: Cancellations) -> None:
        self.cancellations = cancellations
        self.deliveries: list[tuple[Delivery, bool]] = []

    async def __call__(self, delivery: Delivery) -> None:
        asked = self.cancellations.asked(task_id()) is not None
        self.deliveries.append((delivery, asked))


async def test_no_task_is_taken_before_every_cancel_is_known() -> None:
    log, cancellations = MemoryEventLog(), Cancellations()
    await log.publish(submitted())
    await log.publish(canceling())
    queue = HeedfulQueue(MemoryTaskQueue(MemoryTasks(log)), MemoryControl(log), cancellations)
    taken = Taken(cancellations)
    running = asyncio.create_task(queue.run(taken))
    await until(lambda: bool(taken.deliveries))
    assert [asked for _, asked in taken.deliveries] == [True]
    assert queue.healthy()
    await queue.stop(1)
    await asyncio.wait_for(running, 5)


async def test_it_stops_at_once_while_it_still_catches_up() -> None:
    log, cancellations, control = MemoryEventLog(), Cancellations(), SlowControl()
    await log.publish(submitted())
    queue = HeedfulQueue(MemoryTaskQueue(MemoryTasks(log)), control, cancellations)
    taken = Taken(cancellations)
    running = asyncio.create_task(queue.run(taken))
    await asyncio.sleep(0)
    await queue.stop(1)
    await asyncio.wait_for(running, 5)
    assert taken.deliveries == []


async def test_a_worker_that_hears_nothing_any_more_ends() -> None:
    log, cancellations, control = MemoryEventLog(), Cancellations(), BrokenControl()
    queue = HeedfulQueue(MemoryTaskQueue(MemoryTasks(log)), control, cancellations)
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(queue.run(Taken(cancellations)), 5)


@dataclass
class Waiting(TaskQueue):
    """A queue that hands one task out, which has to wait, and what became of that."""

    delivery: Delivery
    again: Again | None = None

    async def run(self, handle: Handle) -> None:
        try:
            await handle(self.delivery)
        except Again as again:
            self.again = again

    async def stop(self, grace: float) -> None: ...

    def healthy(self) -> bool:
        return True


async def take(queue: Waiting, cancellations: Cancellations) -> list[bool]:
    """Run it once; for each time that the task was handed on, whether it was canceled."""
    taken, control = Taken(cancellations), SlowControl()
    control.ready.set()
    heedful = HeedfulQueue(queue, control, cancellations)
    await asyncio.wait_for(heedful.run(taken), 5)
    return [asked for _, asked in taken.deliveries]


def has_to_wait(seconds: float, redriven_after: float | None = None) -> Waiting:
    command = submitted()
    if redriven_after is not None:
        earlier = Earlier(3, 0, 1, at(redriven_after))
        command = command.model_copy(update={"earlier": earlier})
    origin = Origin(topic="t", partition=0, offset=7, timestamp=at(0), key=b"k", value=b"v")
    return Waiting(Delivery(command, origin, 2, True, asyncio.Event(), 1, wait=seconds))


async def test_what_still_has_to_wait_does_so_until_somebody_cancels_it() -> None:
    cancellations, queue = Cancellations(), has_to_wait(600)
    assert await take(queue, cancellations) == []
    assert queue.again is not None
    assert (queue.again.seconds, queue.again.counted) == (600, False)
    assert queue.again.sooner is not None
    assert not queue.again.sooner.is_set()
    cancellations.note(canceling())
    assert queue.again.sooner.is_set()
    assert await take(queue, cancellations) == [True]


async def test_what_was_canceled_before_its_redrive_still_waits() -> None:
    cancellations, queue = Cancellations(), has_to_wait(600, redriven_after=9)
    cancellations.note(canceling(after=5))
    assert await take(queue, cancellations) == []
    assert queue.again is not None


async def test_what_has_waited_is_handed_on() -> None:
    assert await take(has_to_wait(0), Cancellations()) == [False]
