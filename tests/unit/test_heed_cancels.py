"""A worker knows what is canceled before it takes a task."""

import asyncio
from collections.abc import Callable

import pytest

from app.adapters.memory.control import MemoryControl
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.task_queue import MemoryTaskQueue, MemoryTasks
from app.domain.model.commands import CancelTask
from app.domain.use_cases.cancellations import Cancellations
from app.domain.use_cases.heed_cancels import HeedfulQueue
from app.ports.control import Control
from app.ports.task_queue import Delivery
from tests.builders import canceling, submitted, task_id
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
