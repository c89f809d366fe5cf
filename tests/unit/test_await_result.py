"""Who submits and waits is answered by the log itself, and nobody reads less afterwards."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.event_log import MemoryEventLog, MemoryLogEnds
from app.adapters.memory.result_tail import MemoryResultTail
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.events import ResultEvent
from app.domain.model.ids import TaskId
from app.domain.model.lifecycle import TaskState
from app.domain.model.progress import fold
from app.domain.model.task import Task, describe
from app.domain.use_cases import read_status
from app.domain.use_cases.await_result import ResultWaiters
from app.domain.use_cases.read_status import ReadStatus
from app.domain.use_cases.views_lag import ViewsLag
from app.entrypoints.bootstrap.agents import catalog_of
from app.entrypoints.bootstrap.broker import Tail
from app.entrypoints.bootstrap.memory_broker import MemoryBroker
from app.entrypoints.bootstrap.processes import gateway as gateway_process
from app.entrypoints.bootstrap.telemetry import Observed
from app.entrypoints.gateway.draining import Draining
from app.entrypoints.settings import Settings
from app.ports.status_store import StoreUnavailable, ViewUpdate
from tests.builders import completed, input_required, progressed, started, submitted, task_id
from tests.waiting import until


class Gateway:
    """What reads status in a gateway, with views that hear of nothing by themselves."""

    def __init__(self) -> None:
        self.log = MemoryEventLog()
        self.store = MemoryStatusStore()
        self.waiters = ResultWaiters(MemoryResultTail(self.log))
        lag = ViewsLag(MemoryLogEnds(self.log), self.store)
        self.status = ReadStatus(self.store, self.waiters, MemoryClock(), lag)

    async def submit_and_wait(self, *events: object, seconds: float = 5) -> Task:
        command = submitted("t-1")
        with self.waiters.listening() as listener:
            listener.attend(command.id)
            for event in events:
                await self.log.publish(event)  # type: ignore[arg-type]
            return await self.status.result(describe(command, None), listener, seconds)

    async def view(self, *events: ResultEvent) -> None:
        """Let the views have the task, with so many of its events."""
        progress = None
        for offset, event in enumerate(events):
            progress = fold(progress, event, offset)
        known = {progress.task_id: progress} if progress else {}
        await self.store.save(ViewUpdate([submitted("t-1")], known, [], before={}, after={}))


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


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_status, "_RECHECK", 0.01)


@pytest.mark.usefixtures("often")
async def test_who_hears_nothing_is_answered_from_the_views() -> None:
    deaf = Gateway()
    asking = asyncio.create_task(deaf.submit_and_wait(seconds=60))
    await asyncio.sleep(0.05)
    await deaf.view(started("t-1"), completed("t-1"))
    async with asyncio.timeout(10):
        assert (await asking).state is TaskState.COMPLETED


async def test_a_wait_that_is_over_answers_with_whatever_knows_more(gateway: Gateway) -> None:
    await gateway.view(started("t-1"))
    task = await gateway.submit_and_wait(started("t-1"), progressed("t-1"), seconds=0.05)
    assert (task.state, task.sequence) == (TaskState.WORKING, 2)
    await gateway.view(started("t-1"), progressed("t-1"), progressed("t-1", sequence=3))
    task = await gateway.submit_and_wait(progressed("t-1"), seconds=0.05)
    assert (task.state, task.sequence) == (TaskState.WORKING, 3)


@pytest.mark.usefixtures("often")
async def test_views_that_are_away_do_not_end_a_wait(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: TaskId) -> Task | None:
        raise StoreUnavailable("no database")

    monkeypatch.setattr(gateway.store, "find", away)
    asking = asyncio.create_task(gateway.submit_and_wait())
    await asyncio.sleep(0.05)
    await gateway.log.publish(completed("t-1"))
    assert (await asking).state is TaskState.COMPLETED


async def test_a_question_that_was_answered_hides_nothing_newer(gateway: Gateway) -> None:
    asked = await gateway.submit_and_wait(started("t-1"), input_required("t-1"))
    assert asked.state is TaskState.INPUT_REQUIRED
    await gateway.view(started("t-1"))
    assert await gateway.status.find(asked.id) == asked
    await gateway.view(started("t-1"), input_required("t-1"), progressed("t-1", sequence=3))
    assert (await gateway.status.find(asked.id)).state is TaskState.WORKING
    await gateway.view(started("t-1"), started("t-1", attempt=2))
    assert (await gateway.status.find(asked.id)).attempt == 2


class BrokenTail(Tail):
    async def ready(self) -> None:
        """At once."""

    async def results(self, wanted: Callable[[TaskId], bool]) -> AsyncIterator[ResultEvent]:
        raise ValueError("a broken record")
        yield


class DeafBroker(MemoryBroker):
    def tail(self) -> Tail:
        return BrokenTail()


async def test_a_gateway_that_hears_no_results_says_so(caplog: pytest.LogCaptureFixture) -> None:
    views = MemoryStatusStore()
    store: Any = SimpleNamespace(status=views, letters=views.letters)
    settings = Settings()
    gateway = gateway_process(
        settings,
        catalog_of(settings),
        DeafBroker(),
        store,
        observed=Observed(None),
        draining=Draining(),
    )
    async with gateway:
        await until(lambda: any(record.levelname == "ERROR" for record in caplog.records))
    [said] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "hears of results no more" in said.message
    assert said.exc_info
    assert isinstance(said.exc_info[1], ValueError)


async def test_nobody_listens_when_all_have_gone(gateway: Gateway) -> None:
    await gateway.submit_and_wait(completed("t-1"))
    with gateway.waiters.listening(task_id("t-2")):
        assert set(gateway.waiters.listeners) == {task_id("t-2")}
    assert not gateway.waiters.listeners
