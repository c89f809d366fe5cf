"""Who submits and waits is answered by the log itself, and nobody reads less afterwards."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.result_tail import MemoryResultTail
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.lifecycle import TaskState
from app.domain.model.task import Task, describe, fold
from app.domain.use_cases.await_result import ResultWaiters
from app.domain.use_cases.read_status import ReadStatus
from app.ports.status_store import ViewUpdate
from tests.builders import completed, progressed, started, submitted, task_id


class Gateway:
    """What reads status in a gateway, with views that hear of nothing by themselves."""

    def __init__(self) -> None:
        self.log = MemoryEventLog()
        self.store = MemoryStatusStore()
        self.waiters = ResultWaiters(MemoryResultTail(self.log))
        self.status = ReadStatus(self.store, self.waiters, MemoryClock())

    async def submit_and_wait(self, *events: object, seconds: float = 5) -> Task:
        command = submitted("t-1")
        with self.waiters.listening() as listener:
            listener.attend(command.id)
            for event in events:
                await self.log.publish(event)  # type: ignore[arg-type]
            return await self.status.result(describe(command, None), listener, seconds)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    listening = asyncio.create_task(gateway.waiters.run())
    await asyncio.sleep(0)
    yield gateway
    listening.cancel()


async def test_the_result_is_answered_before_the_views_have_it(gateway: Gateway) -> None:
    task = await gateway.submit_and_wait(started("t-1"), completed("t-1"))
    assert task.state is TaskState.COMPLETED
    assert task.input == submitted("t-1").input
    assert await gateway.store.find(task.id) is None


async def test_what_was_answered_is_read_by_who_asks_again(gateway: Gateway) -> None:
    answered = await gateway.submit_and_wait(started("t-1"), completed("t-1"))
    await gateway.store.save(ViewUpdate([submitted("t-1")], {}, [], before={}, after={}))
    assert await gateway.status.find(answered.id) == answered
    progress = fold(fold(None, started("t-1"), 0), completed("t-1"), 1)
    await gateway.store.save(ViewUpdate([], {answered.id: progress}, [], before={}, after={}))
    assert await gateway.status.find(answered.id) == describe(submitted("t-1"), progress)


async def test_a_wait_that_is_over_first_answers_with_what_was_heard(gateway: Gateway) -> None:
    task = await gateway.submit_and_wait(
        started("t-1"), progressed("t-1", message="half way"), seconds=0.05
    )
    assert (task.state, task.status_message) == (TaskState.WORKING, "half way")


async def test_nobody_listens_when_all_have_gone(gateway: Gateway) -> None:
    await gateway.submit_and_wait(completed("t-1"))
    with gateway.waiters.listening(task_id("t-2")):
        assert set(gateway.waiters.listeners) == {task_id("t-2")}
    assert not gateway.waiters.listeners
