"""What every Delays with its DelayQueue must do; each adapter's test class subclasses this."""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Protocol

import pytest

from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.ids import TaskId
from app.domain.use_cases.cancellations import Cancellations
from app.ports.delays import DelayQueue, Delays, Due, Unwanted, nothing
from tests.builders import at, canceling, submitted
from tests.waiting import until

SOON = 2.0
"""Seconds after its time within which a command must be released, on a busy machine too."""
EARLIER = Earlier(4, 2, 1, at(7), key=b"\xff chosen by a producer")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Waiting(Protocol):
    """Delays, and the queues that release what waits there, one after another."""

    @property
    @abstractmethod
    def delays(self) -> Delays: ...

    @abstractmethod
    def queue(self, unwanted: Unwanted = nothing) -> DelayQueue: ...


@dataclass
class Released:
    """What was released, and when."""

    commands: list[SubmitTask] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)

    async def __call__(self, due: Due) -> None:
        assert isinstance(due.content, SubmitTask)
        self.times.append(datetime.now(UTC))
        self.commands.append(due.content)

    @property
    def ids(self) -> list[str]:
        return [command.id for command in self.commands]


@asynccontextmanager
async def releasing(queue: DelayQueue, release: Released) -> AsyncIterator[None]:
    work = asyncio.create_task(queue.run(release))
    try:
        await until(lambda: queue.healthy() or work.done())
        yield
    finally:
        async with asyncio.timeout(20):
            await queue.stop()
            await work


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def ids(*names: str) -> list[str]:
    return [submitted(name).id for name in names]


class DelaysContract:
    keeps_what_is_ahead: ClassVar[bool] = True
    """Whether a queue knows what was released before it, though what stands before that waits."""

    @pytest.fixture
    def waiting(self) -> Waiting:
        raise NotImplementedError("the subclass provides the delays under test")

    async def test_a_task_is_released_not_before_its_time_and_soon_after_it(
        self, waiting: Waiting
    ) -> None:
        released = Released()
        async with releasing(waiting.queue(), released):
            due = later(0.8)
            await waiting.delays.put(submitted("t-1"), due)
            await until(lambda: bool(released.commands))
        late = (released.times[0] - due).total_seconds()
        assert -0.001 <= late < SOON  # times travel in milliseconds

    async def test_what_is_due_already_is_released_at_once(self, waiting: Waiting) -> None:
        await waiting.delays.put(submitted("t-1"), later(-60))
        released = Released()
        async with releasing(waiting.queue(), released):
            await until(lambda: bool(released.commands))
        assert released.ids == ids("t-1")

    async def test_the_next_one_is_released_first_whatever_was_put_first(
        self, waiting: Waiting
    ) -> None:
        released = Released()
        async with releasing(waiting.queue(), released):
            now = later(0)  # of all of them, however long it takes to put them
            for name, seconds in (("far", 3600), ("third", 5), ("first", 4), ("second", 4.5)):
                await waiting.delays.put(submitted(name), now + timedelta(seconds=seconds))
            await until(lambda: len(released.commands) == 3)
        assert released.ids == ids("first", "second", "third")

    async def test_many_that_are_due_together_are_released_together_each_once(
        self, waiting: Waiting
    ) -> None:
        names = [f"t-{number}" for number in range(300)]
        released = Released()
        due = later(1.5)
        async with releasing(waiting.queue(), released):
            await asyncio.gather(
                *(waiting.delays.put(submitted(name), due) for name in names),
                *(waiting.delays.put(submitted(f"far-{n}"), later(3600)) for n in range(50)),
            )
            await until(lambda: len(released.commands) >= 300)
            await asyncio.sleep(0.3)  # room for a release that must not come
        assert sorted(released.ids) == sorted(ids(*names))
        assert (max(released.times) - max(due, min(released.times))).total_seconds() < SOON

    async def test_all_that_a_task_has_is_kept(self, waiting: Waiting) -> None:
        command = submitted(
            "t-1",
            parameters={"depth": 3},
            context_id="a conversation",
            labels={"team": "blue"},
            not_before=at(90),
            traceparent=TRACEPARENT,
        ).model_copy(update={"earlier": EARLIER})
        await waiting.delays.put(command, later(0.1))
        released = Released()
        async with releasing(waiting.queue(), released):
            await until(lambda: bool(released.commands))
        assert released.commands == [command]
        assert released.commands[0].earlier == EARLIER
        assert released.commands[0].traceparent == TRACEPARENT

    async def test_what_waits_survives_a_queue_and_what_was_released_does_not_come_again(
        self, waiting: Waiting
    ) -> None:
        first, second = Released(), Released()
        async with releasing(waiting.queue(), first):
            due = later(6)
            puts = [("waits", due), ("is due", later(0))]
            for name, not_before in puts if self.keeps_what_is_ahead else reversed(puts):
                await waiting.delays.put(submitted(name), not_before)
            await until(lambda: bool(first.commands))
        assert first.ids == ids("is due")
        async with releasing(waiting.queue(), second):
            await until(lambda: bool(second.commands))
            await asyncio.sleep(0.3)  # room for a release that must not come
        assert second.ids == ids("waits")
        assert second.times[0] >= due - timedelta(milliseconds=1)

    async def test_what_is_canceled_while_it_waits_is_released_at_once(
        self, waiting: Waiting
    ) -> None:
        canceled: set[TaskId] = set()
        queue, released = waiting.queue(lambda task_id, _: task_id in canceled), Released()
        async with releasing(queue, released):
            for name in ("unwanted", "wanted"):
                await waiting.delays.put(submitted(name), later(3600))
            await waiting.delays.put(submitted("due"), later(0))
            await until(lambda: released.ids == ids("due"))
            canceled.add(submitted("unwanted").id)
            for name in ("unwanted", "wanted", "nobody's"):
                queue.hurry(submitted(name).id)
            await until(lambda: released.ids == ids("due", "unwanted"))

    async def test_what_is_canceled_before_it_waits_is_released_at_once(
        self, waiting: Waiting
    ) -> None:
        released = Released()
        queue = waiting.queue(lambda task_id, _: task_id == submitted("t-1").id)
        async with releasing(queue, released):
            await waiting.delays.put(submitted("t-1"), later(3600))
            await until(lambda: released.ids == ids("t-1"))

    async def test_a_redriven_task_waits_whatever_was_canceled_before(
        self, waiting: Waiting
    ) -> None:
        cancellations = Cancellations()
        for name in ("redriven", "canceled"):
            cancellations.note(canceling(name, after=5))
        queue, released = waiting.queue(cancellations.unwanted), Released()
        cancellations.tell = queue.hurry
        redriven = submitted("redriven").model_copy(update={"earlier": Earlier(4, 1, 1, at(7))})
        async with releasing(queue, released):
            for command in (redriven, submitted("canceled")):
                await waiting.delays.put(command, later(3600))
            await until(lambda: bool(released.commands))
            queue.hurry(redriven.id)
            await asyncio.sleep(0.3)  # room for a release that must not come
            assert released.ids == ids("canceled")
            cancellations.note(canceling("redriven", after=9))
            await until(lambda: released.ids == ids("canceled", "redriven"))

    async def test_a_release_that_fails_is_tried_again(self, waiting: Waiting) -> None:
        class FailingOnce(Released):
            tries = 0

            async def __call__(self, due: Due) -> None:
                self.tries += 1
                if self.tries == 1:
                    raise RuntimeError("not this time")
                await super().__call__(due)

        released = FailingOnce()
        await waiting.delays.put(submitted("t-1"), later(0))
        async with releasing(waiting.queue(), released):
            await until(lambda: bool(released.commands))
        assert released.tries == 2
