"""What has run before, here or elsewhere, does not run again."""

import asyncio
from dataclasses import replace

import pytest

from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.commands import Earlier
from app.domain.model.events import Result
from app.domain.model.ids import uuid7
from app.domain.model.progress import fold
from app.ports.agent_runtime import RunContext, TaskInput
from app.ports.status_store import ViewUpdate
from tests.builders import at, completed, failed, redriven, submitted
from tests.unit.at_work import Scripted, Worker, answer, delivered, holding, worker


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


@pytest.mark.parametrize(
    ("since", "runs"), [(None, 1), (50, 1), (640, 0)], ids=["never", "long ago", "lately"]
)
async def test_what_is_sent_twice_is_looked_up_after_a_change_of_workers(
    since: float | None, runs: int
) -> None:
    command = submitted("t-1")
    at_work = Worker(Scripted(answer), store=await holding(command, completed("t-1")))
    at_work.clock.advance(600)
    inherited_at = None if since is None else at(since)
    await at_work.handle(replace(delivered(command), inherited_at=inherited_at))
    assert at_work.runtime.runs == runs


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
        again = replace(delivered(submitted(name), redelivered=True), inherited_at=at(50))
        await at_work.handle(again)
    assert at_work.runtime.runs == 0


async def test_a_task_whose_id_was_made_since_then_is_not_looked_up() -> None:
    command = submitted(uuid7(at(55), bytes(10)))
    at_work = Worker(Scripted(answer), store=await holding(command, completed(command.id)))
    await at_work.handle(replace(delivered(command), inherited_at=at(50)))
    assert at_work.runtime.runs == 1
