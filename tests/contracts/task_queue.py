"""What every TaskQueue must do; each adapter's test class subclasses this."""

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from app.domain.model.commands import SubmitTask
from app.domain.model.errors import Unavailable
from app.domain.model.priorities import Priority
from app.ports.task_queue import Again, Delivery, Handle, TaskQueue
from tests.builders import DEVELOPER, submitted
from tests.waiting import until


class Tasks(Protocol):
    """Tasks that wait, and the queues that hand them out one after another."""

    @abstractmethod
    async def put(self, command: SubmitTask) -> None: ...

    @abstractmethod
    def queue(self, slots: int, urgent_slots: int = 0) -> TaskQueue: ...


@asynccontextmanager
async def running(queue: TaskQueue, handle: Handle, grace: float = 5) -> AsyncIterator[None]:
    work = asyncio.create_task(queue.run(handle))
    try:
        yield
    finally:
        await until(lambda: queue.healthy() or work.done())
        async with asyncio.timeout(20):
            await queue.stop(grace)
            await work


def id_of(delivery: Delivery) -> str:
    assert isinstance(delivery.content, SubmitTask)
    return delivery.content.id


class TaskQueueContract:
    long = 2.0
    """Seconds in which two queues begin, one after another."""

    @pytest.fixture
    def tasks(self) -> Tasks:
        raise NotImplementedError("the subclass provides the tasks under test")

    async def test_each_task_is_handed_out_once(self, tasks: Tasks) -> None:
        commands = [submitted(f"t-{i}") for i in range(20)]
        for command in commands:
            await tasks.put(command)
        seen: list[Delivery] = []

        async def note(delivery: Delivery) -> None:
            seen.append(delivery)

        async with running(tasks.queue(slots=4), note):
            await until(lambda: len(seen) == 20)
        assert sorted(map(id_of, seen)) == sorted(command.id for command in commands)
        assert {delivery.attempt for delivery in seen} == {1}

    async def test_no_more_run_at_once_than_there_are_slots(self, tasks: Tasks) -> None:
        for i in range(12):
            await tasks.put(submitted(f"t-{i}"))
        now, most, ended = 0, 0, 0

        async def count(_: Delivery) -> None:
            nonlocal now, most, ended
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.02)
            now -= 1
            ended += 1

        async with running(tasks.queue(slots=3), count):
            await until(lambda: ended == 12)
        assert most == 3

    async def test_a_task_whose_handler_raises_is_handed_out_again(self, tasks: Tasks) -> None:
        await tasks.put(submitted("t-1"))
        attempts: list[int] = []

        async def fail_once(delivery: Delivery) -> None:
            attempts.append(delivery.attempt)
            if len(attempts) == 1:
                raise RuntimeError("not this time")

        async with running(tasks.queue(slots=1), fail_once):
            await until(lambda: len(attempts) == 2)
        assert attempts == [1, 2]

    async def test_what_its_handler_breaks_on_is_counted_and_an_outage_is_not(
        self, tasks: Tasks
    ) -> None:
        await tasks.put(submitted("t-1"))
        seen: list[tuple[int, int, str | None]] = []

        async def breaking(delivery: Delivery) -> None:
            seen.append((delivery.interrupted, delivery.failures, delivery.broke_by))
            if len(seen) == 1:
                raise Unavailable("the ledger is away")
            if len(seen) < 4:
                raise OverflowError("too large to convert")

        async with running(tasks.queue(slots=1), breaking):
            await until(lambda: len(seen) == 4)
        words = "OverflowError: too large to convert"
        assert seen == [(0, 0, None), (0, 0, None), (1, 0, words), (2, 0, words)]

    async def test_a_run_that_is_stopped_is_counted_where_it_is_blamed(self, tasks: Tasks) -> None:
        await tasks.put(submitted("t-1"))
        seen: list[tuple[int, int]] = []

        async def stopped(delivery: Delivery) -> None:
            seen.append((delivery.attempt, delivery.interrupted))
            if len(seen) < 4:
                delivery.blamed = len(seen) > 1
                current = asyncio.current_task()
                assert current
                current.cancel()
                await asyncio.sleep(0)

        async with running(tasks.queue(slots=1), stopped):
            await until(lambda: len(seen) == 4)
        assert seen == [(1, 0), (2, 0), (3, 1), (4, 2)]

    async def test_a_conversation_keeps_its_order_and_others_do_not_wait(
        self, tasks: Tasks
    ) -> None:
        first = submitted("t-1", context_id="conversation")
        second = submitted("t-2", context_id="conversation")
        other = submitted("t-3")
        for command in (first, second, other):
            await tasks.put(command)
        order: list[str] = []
        go_on = asyncio.Event()

        async def hold_the_first(delivery: Delivery) -> None:
            if id_of(delivery) == first.id:
                await go_on.wait()
            order.append(id_of(delivery))

        async with running(tasks.queue(slots=4), hold_the_first):
            await until(lambda: order == [other.id])
            go_on.set()
            await until(lambda: len(order) == 3)
        assert order == [other.id, first.id, second.id]

    async def test_the_most_urgent_begin_first(self, tasks: Tasks) -> None:
        await tasks.put(submitted("first"))
        begun: list[str] = []
        go_on = asyncio.Event()

        async def hold_the_first(delivery: Delivery) -> None:
            begun.append(id_of(delivery))
            if len(begun) == 1:
                await go_on.wait()

        async with running(tasks.queue(slots=1), hold_the_first):
            await until(lambda: len(begun) == 1)
            waiting = (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL)
            for priority in waiting:
                await tasks.put(submitted(priority, priority=priority))
            await asyncio.sleep(0.5)  # room for all of them to be read
            go_on.set()
            await until(lambda: len(begun) == 5)
        assert begun[1:] == [submitted(priority).id for priority in reversed(waiting)]

    async def test_what_is_urgent_passes_a_long_line(self, tasks: Tasks) -> None:
        for i in range(200):
            await tasks.put(submitted(f"t-{i}", priority=Priority.LOW))
        begun: list[str] = []

        async def take_a_moment(delivery: Delivery) -> None:
            begun.append(id_of(delivery))
            await asyncio.sleep(0.1)

        async with running(tasks.queue(slots=2), take_a_moment):
            await until(lambda: len(begun) > 10)
            urgent = submitted("urgent", priority=Priority.CRITICAL)
            await tasks.put(urgent)
            await until(lambda: urgent.id in begun)
        assert len(begun) < 100

    @pytest.mark.parametrize("slots", [1, 4])
    async def test_the_backlog_of_one_agent_does_not_keep_another_waiting(
        self, tasks: Tasks, slots: int
    ) -> None:
        for i in range(300):
            await tasks.put(submitted(f"t-{i}"))
        others = [submitted(f"other {i}", agent=DEVELOPER) for i in range(3)]
        begun: list[str] = []

        async def take_a_moment(delivery: Delivery) -> None:
            begun.append(id_of(delivery))
            await asyncio.sleep(0.05)

        async with running(tasks.queue(slots=slots), take_a_moment, grace=0):
            await until(lambda: len(begun) > 20)
            before = len(begun)
            for other in others:
                await tasks.put(other)
            await until(lambda: {each.id for each in others} <= set(begun))
            passed = begun.index(others[-1].id) - before
        assert passed < 100

    async def test_tasks_that_take_long_leave_slots_to_other_agents(self, tasks: Tasks) -> None:
        for i in range(80):
            await tasks.put(submitted(f"long {i}"))
        short = {submitted(f"short {i}", agent=DEVELOPER).id: i for i in range(20)}
        begun: list[str] = []
        ended: set[str] = set()

        async def take_long_or_not(delivery: Delivery) -> None:
            begun.append(id_of(delivery))
            await asyncio.sleep(0.01 if id_of(delivery) in short else 0.5)
            ended.add(id_of(delivery))

        async with running(tasks.queue(slots=4), take_long_or_not, grace=0):
            await until(lambda: len(begun) == 4)
            for i in short.values():
                await tasks.put(submitted(f"short {i}", agent=DEVELOPER))
            await until(lambda: short.keys() <= ended)
            assert len(begun) < 20 + 40

    async def test_who_is_in_no_hurry_is_not_forgotten(self, tasks: Tasks) -> None:
        await tasks.put(submitted("first"))
        patient = submitted("patient", priority=Priority.LOW)
        begun: list[str] = []
        go_on = asyncio.Event()

        async def hold_the_first(delivery: Delivery) -> None:
            begun.append(id_of(delivery))
            await go_on.wait()

        async with running(tasks.queue(slots=1), hold_the_first):
            await until(lambda: len(begun) == 1)
            await tasks.put(patient)
            await asyncio.sleep(0.5)  # room for it to be read
            for i in range(20):
                await tasks.put(submitted(f"t-{i}", priority=Priority.HIGH))
            await asyncio.sleep(0.5)
            go_on.set()
            await until(lambda: len(begun) == 22)
        assert 2 < begun.index(patient.id) < 12

    async def test_a_slot_can_be_kept_for_what_is_urgent(self, tasks: Tasks) -> None:
        for i in range(4):
            await tasks.put(submitted(f"t-{i}"))
        urgent = submitted("urgent", priority=Priority.CRITICAL)
        begun: list[str] = []
        go_on = asyncio.Event()

        async def hold(delivery: Delivery) -> None:
            begun.append(id_of(delivery))
            await go_on.wait()

        async with running(tasks.queue(slots=3, urgent_slots=1), hold):
            await until(lambda: len(begun) == 2)
            await asyncio.sleep(0.3)  # room for a third one, which must not begin
            assert len(begun) == 2
            await tasks.put(urgent)
            await until(lambda: len(begun) == 3)
            assert begun[2] == urgent.id
            go_on.set()
            await until(lambda: len(begun) == 5)

    async def test_stopping_lets_what_runs_finish(self, tasks: Tasks) -> None:
        await tasks.put(submitted("t-1"))
        begun, ended = asyncio.Event(), asyncio.Event()

        async def take_a_moment(_: Delivery) -> None:
            begun.set()
            await asyncio.sleep(0.2)
            ended.set()

        async with running(tasks.queue(slots=1), take_a_moment):
            await asyncio.wait_for(begun.wait(), 20)
        assert ended.is_set()

    async def test_what_is_cut_off_runs_again_and_what_ended_does_not(self, tasks: Tasks) -> None:
        for i in range(10):
            await tasks.put(submitted(f"t-{i}"))
        endless = {submitted(f"t-{i}").id for i in range(0, 10, 3)}
        begun: set[str] = set()
        ended: set[str] = set()
        again: list[Delivery] = []

        async def hang_on_some(delivery: Delivery) -> None:
            begun.add(id_of(delivery))
            if id_of(delivery) in endless:
                await asyncio.sleep(600)
            ended.add(id_of(delivery))

        async def note(delivery: Delivery) -> None:
            again.append(delivery)

        async with running(tasks.queue(slots=10), hang_on_some, grace=0):
            await until(lambda: len(begun) == 10 and len(ended) == 6)
            await asyncio.sleep(0.3)  # room for whatever else is noted of what runs
        async with running(tasks.queue(slots=10), note):
            await until(lambda: len(again) == 4)
        assert {id_of(delivery) for delivery in again} == endless
        assert {(delivery.attempt, delivery.redelivered) for delivery in again} == {(2, True)}
        assert {delivery.interrupted for delivery in again} == {0}

    async def test_what_stood_there_before_is_told_from_what_comes(self, tasks: Tasks) -> None:
        seen: dict[str, bool] = {}

        async def note(delivery: Delivery) -> None:
            seen[id_of(delivery)] = delivery.predates_owner

        await tasks.put(submitted("old"))
        async with running(tasks.queue(slots=2), note):
            await until(lambda: len(seen) == 1)
            await tasks.put(submitted("new"))
            await until(lambda: len(seen) == 2)
        assert seen == {submitted("old").id: True, submitted("new").id: False}

    async def test_a_task_that_comes_while_the_queue_runs_is_handed_out(self, tasks: Tasks) -> None:
        seen: list[str] = []

        async def note(delivery: Delivery) -> None:
            seen.append(id_of(delivery))

        async with running(tasks.queue(slots=2), note):
            await tasks.put(submitted("t-1"))
            await until(lambda: len(seen) == 1)
            await tasks.put(submitted("t-2"))
            await until(lambda: len(seen) == 2)
        assert seen == [submitted("t-1").id, submitted("t-2").id]

    async def test_what_is_put_off_uncounted_is_neither_an_attempt_nor_a_failure(
        self, tasks: Tasks
    ) -> None:
        await tasks.put(submitted("t-1"))
        seen: list[tuple[int, int]] = []
        sooner = asyncio.Event()

        async def put_off_twice(delivery: Delivery) -> None:
            seen.append((delivery.attempt, delivery.failures))
            if len(seen) == 1:
                raise Again(0.01, counted=False)
            if len(seen) == 2:
                sooner.set()
                raise Again(600, sooner, counted=False)

        async with running(tasks.queue(slots=1), put_off_twice):
            await until(lambda: len(seen) == 3)
        assert seen == [(1, 0)] * 3

    @pytest.mark.parametrize("waits", [True, False], ids=["it waits", "it still runs"])
    async def test_a_wait_for_the_next_run_outlives_its_queue(
        self, tasks: Tasks, *, waits: bool
    ) -> None:
        await tasks.put(submitted("t-1"))
        begun, go_on = asyncio.Event(), asyncio.Event()
        not_before = 0.0
        seen: list[tuple[int, int, float]] = []

        async def fail(_: Delivery) -> None:
            nonlocal not_before
            begun.set()
            await go_on.wait()
            not_before = time.monotonic() + self.long
            raise Again(self.long)

        async def wait(delivery: Delivery) -> None:
            seen.append((delivery.attempt, delivery.failures, delivery.wait))
            if delivery.wait > 0:
                raise Again(delivery.wait, counted=False)

        async with running(tasks.queue(slots=1), fail):
            await asyncio.wait_for(begun.wait(), 20)
            if waits:
                go_on.set()
                await until(lambda: bool(not_before))
            else:
                asyncio.get_running_loop().call_later(0.3, go_on.set)
        for _ in range(2):  # whoever stops while it waits hands it on once more
            async with running(tasks.queue(slots=1), wait):
                await until(lambda: bool(seen))
            assert seen[0][:2] == (2, 1)
            assert 0 < seen.pop()[2] <= self.long + 1
        async with running(tasks.queue(slots=1), wait):
            await until(lambda: bool(seen) and not seen[-1][2])
        assert time.monotonic() >= not_before
        assert {(attempt, failures) for attempt, failures, _ in seen} == {(2, 1)}
