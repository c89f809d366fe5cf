"""What has run before, here or elsewhere, does not run again."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.commands import Earlier
from app.domain.model.events import Result
from app.domain.model.ids import TaskId, uuid7
from app.domain.model.progress import fold
from app.ports.agent_runtime import RunContext, TaskInput
from app.ports.status_store import Past, StoreUnavailable, ViewUpdate
from tests.builders import at, completed, failed, redriven, started, submitted
from tests.unit.at_work import Scripted, Worker, answer, delivered, holding, worker


class Away(MemoryStatusStore):
    """Does not answer."""

    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        raise StoreUnavailable("away")


class Counting(MemoryStatusStore):
    """Counts the tasks of each query."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        self.asked.append(len(task_ids))
        await asyncio.sleep(0)
        return await super().past(task_ids)


async def test_the_same_task_twice_runs_once_even_at_the_same_time() -> None:
    async def slowly(task: TaskInput, context: RunContext) -> Result:
        await asyncio.sleep(0.02)
        return Result()

    at_work = worker(slowly)
    twice = [at_work.handle(delivered(submitted("t-1"))) for _ in range(2)]
    await asyncio.gather(*twice)
    await at_work.handle(delivered(submitted("t-1")))
    assert at_work.runtime.runs == 1


async def test_a_redelivered_task_that_has_ended_is_not_run_again() -> None:
    store = await holding(submitted("t-1"), completed("t-1"))
    at_work = Worker(Scripted(answer), store=store)
    await at_work.handle(delivered(submitted("t-1"), attempt=2, redelivered=True))
    assert at_work.runtime.runs == 0
    assert at_work.events == []


@pytest.mark.parametrize(
    ("earlier", "runs"), [(Earlier(), 0), (Earlier(attempts=1, redrives=1), 1)]
)
async def test_of_a_redriven_task_only_the_message_that_was_sent_again_is_run(
    earlier: Earlier, runs: int
) -> None:
    store = MemoryStatusStore()
    ending, opened = failed("t-1"), redriven("t-1")
    progress = fold(fold(None, ending, offset=0), opened, offset=1)
    await store.save(ViewUpdate([], {ending.task_id: progress}, [], before={}, after={}))
    at_work = Worker(Scripted(answer), store=store)
    command = submitted("t-1").model_copy(update={"earlier": earlier})
    await at_work.handle(delivered(command, attempt=2, redelivered=True))
    assert at_work.runtime.runs == runs


@pytest.mark.parametrize("since", [50, 640], ids=["long ago", "lately"])
async def test_what_is_sent_twice_is_looked_up_however_long_a_worker_is_at_work(
    since: float,
) -> None:
    command = submitted("t-1")
    at_work = Worker(Scripted(answer), store=await holding(command, completed("t-1")))
    at_work.clock.advance(600)
    await at_work.handle(replace(delivered(command), taken_over_at=at(since)))
    assert at_work.runtime.runs == 0


@pytest.mark.parametrize(("since", "runs"), [(50, 1), (640, 0)], ids=["long ago", "lately"])
async def test_while_the_views_are_away_only_what_is_likely_to_have_run_waits_for_them(
    since: float, runs: int
) -> None:
    at_work = Worker(Scripted(answer), store=Away())
    at_work.clock.advance(600)
    again = replace(delivered(submitted("t-1", after=590)), taken_over_at=at(since))
    try:
        await at_work.handle(again)
    except StoreUnavailable:
        assert not runs
    assert at_work.runtime.runs == runs


async def test_what_stood_there_before_its_worker_is_looked_up_whatever_was_committed() -> None:
    for name, runs in (("t-1", 0), ("t-2", 1)):
        command = submitted(name)
        at_work = Worker(Scripted(answer), store=await holding(command, completed("t-1")))
        old = replace(delivered(command), predates_owner=True, unnamed=True, taken_over_at=at(50))
        await at_work.handle(old)
        assert at_work.runtime.runs == runs


async def test_what_waited_for_its_time_is_looked_up_by_when_it_was_asked_for() -> None:
    released = submitted(uuid7(at(2_900), bytes(10)))
    done = await holding(released, completed(released.id))
    at_work = Worker(Scripted(answer), store=done)
    at_work.clock.advance(3_000)
    await at_work.handle(replace(delivered(released), taken_over_at=at(2_000)))
    assert at_work.runtime.runs == 0


async def test_an_id_from_the_far_future_is_not_taken_for_new() -> None:
    command = submitted(uuid7(at(86_400), bytes(10)))
    at_work = Worker(Scripted(answer), store=await holding(command, completed(command.id)))
    await at_work.handle(replace(delivered(command), taken_over_at=at(50)))
    assert at_work.runtime.runs == 0


@pytest.mark.parametrize("name", [uuid7(at(60), b"0123456789"), "no time"])
@pytest.mark.parametrize("since", [None, 50.0])
async def test_a_task_is_known_to_have_ended_when_its_worker_has_forgotten_it(
    name: str, since: float | None
) -> None:
    first = submitted(name, after=60)
    at_work = Worker(Scripted(answer), store=await holding(first, completed(first.id)))
    known = at_work.handle.known
    for number in range(10_001):
        command = first if not number else submitted(f"n-{number}")
        await known.take(command)
        known.release(command, ended=True)
    taken_over_at = None if since is None else at(since)
    await at_work.handle(replace(delivered(first), taken_over_at=taken_over_at))
    assert at_work.runtime.runs == 0


async def test_of_what_nobody_can_have_run_the_views_are_not_asked() -> None:
    at_work = Worker(Scripted(answer), store=Away())
    for number in range(1_000):
        await at_work.handle(delivered(submitted(f"t-{number}", after=60)))
    assert at_work.runtime.runs == 1_000
    assert at_work.handle.known.perhaps_finished(submitted("t-7").id)


async def test_a_run_that_another_message_of_its_task_began_is_not_begun_again() -> None:
    """What waits for another run may be released twice, all of it where offsets were lost."""
    command = submitted().model_copy(update={"earlier": Earlier(attempts=1, failures=1)})
    store = MemoryStatusStore()
    progress = fold(fold(None, started(), offset=0), started(attempt=2), offset=1)
    await store.save(ViewUpdate([command], {command.id: progress}, [], before={}, after={}))
    for mine, runs in ((False, 0), (True, 1)):
        at_work = Worker(Scripted(answer), store=store)
        await at_work.handle(delivered(command, attempt=2, redelivered=mine))
        assert at_work.runtime.runs == runs


async def test_a_task_that_goes_on_by_another_message_has_not_ended() -> None:
    command = submitted().model_copy(update={"earlier": Earlier(attempts=1, failures=1)})
    store = MemoryStatusStore()
    progress = fold(fold(None, started(), offset=0), started(attempt=2), offset=1)
    await store.save(ViewUpdate([command], {command.id: progress}, [], before={}, after={}))
    at_work = Worker(Scripted(answer), store=store)
    await at_work.handle(delivered(command, attempt=2))
    third = command.model_copy(update={"earlier": Earlier(attempts=2, failures=2)})
    await at_work.handle(delivered(third, attempt=3))
    assert at_work.runtime.runs == 1


class OneBroken(Counting):
    """Breaks where it is asked for one task, alone or among others."""

    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        if submitted("t-3").id in task_ids:
            raise ValueError("an unreadable row")
        return await super().past(task_ids)


async def test_a_task_that_cannot_be_looked_up_takes_no_other_with_it() -> None:
    at_work = Worker(Scripted(answer), store=OneBroken())
    many = [
        replace(delivered(submitted(f"t-{number}")), taken_over_at=at(50)) for number in range(8)
    ]
    done = await asyncio.gather(*map(at_work.handle, many), return_exceptions=True)
    assert [type(each) for each in done if each is not None] == [ValueError]
    assert at_work.runtime.runs == 7


async def test_those_who_ask_at_once_share_a_query() -> None:
    store = Counting()
    at_work = Worker(Scripted(answer), store=store)
    many = (
        replace(delivered(submitted(f"t-{number}")), taken_over_at=at(50)) for number in range(100)
    )
    await asyncio.gather(*map(at_work.handle, many))
    assert at_work.runtime.runs == 100
    assert sum(store.asked) == 100
    assert len(store.asked) <= 10


async def test_an_end_that_the_views_do_not_know_of_yet_is_one() -> None:
    at_work = Worker(Scripted(answer), store=MemoryStatusStore())
    await at_work.log.publish(completed("t-1"))
    await at_work.handle(delivered(submitted("t-1"), redelivered=True))
    assert at_work.runtime.runs == 0


async def test_an_end_from_before_a_redrive_is_none_whether_the_views_know_of_it_or_not() -> None:
    at_work = Worker(Scripted(answer), store=MemoryStatusStore())
    command = submitted("t-1").model_copy(update={"earlier": Earlier(attempts=1, redrives=1)})
    await at_work.log.publish(failed("t-1"))
    await at_work.handle(delivered(command, attempt=2, redelivered=True))
    assert at_work.runtime.runs == 1


async def test_what_a_former_owner_ends_after_others_were_asked_about_is_no_secret() -> None:
    at_work = Worker(Scripted(answer), store=MemoryStatusStore())
    for name in ("t-1", "t-2"):
        await at_work.log.publish(completed(name))
        at_work.clock.advance(1)
        again = replace(delivered(submitted(name), redelivered=True), taken_over_at=at(50))
        await at_work.handle(again)
    assert at_work.runtime.runs == 0


async def test_a_task_whose_id_was_made_since_then_is_not_looked_up() -> None:
    command = submitted(uuid7(at(55), bytes(10)), after=55)
    at_work = Worker(Scripted(answer), store=Away())
    await at_work.handle(replace(delivered(command), taken_over_at=at(50)))
    assert at_work.runtime.runs == 1


async def test_a_task_that_no_other_message_can_name_is_not_looked_up() -> None:
    at_work = Worker(Scripted(answer), store=Away())
    new = replace(delivered(submitted("t-1", after=55)), taken_over_at=at(50), unnamed=True)
    await at_work.handle(new)
    assert at_work.runtime.runs == 1
