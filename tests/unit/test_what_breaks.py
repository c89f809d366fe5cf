"""What breaks a worker's handling of a task does not have it run without end."""

import asyncio
from collections.abc import Awaitable, Collection, Mapping

import pytest

from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.status_store import MemoryStatusStore
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason
from app.domain.model.errors import PayloadTooLarge, RunFailed
from app.domain.model.events import Event, Result, TaskCompleted, TaskFailed, TraceLog
from app.domain.model.ids import TaskId
from app.domain.model.lifecycle import Reason
from app.domain.model.messages import Message
from app.ports.agent_runtime import RunContext, TaskInput
from app.ports.event_log import LogUnavailable
from app.ports.status_store import Past
from app.ports.task_queue import Undecodable
from tests.builders import submitted
from tests.unit.at_work import Scripted, Worker, answer, delivered


class Narrow(MemoryEventLog):
    """A log that refuses what is large when it is already on its way, as a broker does."""

    async def append(self, message: Message) -> Awaitable[None]:
        if len(message.model_dump_json()) < 5_000:
            return await super().append(message)

        async def refuse() -> None:
            raise PayloadTooLarge("the message is larger than the broker takes")

        return refuse()


async def test_a_result_that_the_log_refuses_on_its_way_fails_the_task_in_its_one_run() -> None:
    async def large(task: TaskInput, context: RunContext) -> Result:
        await context.report("half done")
        return Result(output="x" * 200_000)

    at_work = Worker(Scripted(large), log=Narrow())
    await at_work.handle(delivered(submitted("t-1")))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    assert failed.error.code == "payload-too-large"
    assert [event.sequence for event in at_work.events] == [1, 2, 3]
    assert at_work.runtime.runs == 1


async def test_an_event_that_the_log_refuses_on_its_way_leaves_its_number_and_a_word() -> None:
    async def talkative(task: TaskInput, context: RunContext) -> Result:
        await context.log("before")
        await context.report("x" * 9_000)
        await context.log("after")
        return Result(output="done")

    at_work = Worker(Scripted(talkative), log=Narrow())
    await at_work.handle(delivered(submitted("t-1")))
    assert [event.sequence for event in at_work.events] == [1, 2, 3, 4, 5]
    word = at_work.events[2]
    assert isinstance(word, TraceLog)
    assert (word.level, "task.progressed" in word.message) == ("warning", True)
    assert isinstance(at_work.events[-1], TaskCompleted)


async def test_what_broke_its_worker_time_after_time_is_set_aside_and_not_run() -> None:
    at_work = Worker(Scripted(answer))
    delivery = delivered(submitted("t-1"), attempt=4, interrupted=3)
    delivery.broke_by = "OverflowError: too large to convert"
    await at_work.handle(delivery)
    (letter,) = at_work.letters.letters
    assert letter.reason is DeadLetterReason.POISON
    assert letter.detail == (
        "3 runs broke their worker, the last one by OverflowError: too large to convert"
    )
    (failed,) = at_work.events
    assert isinstance(failed, TaskFailed)
    assert (failed.reason, failed.attempt) == (Reason.DEAD_LETTERED, 4)
    assert at_work.runtime.runs == 0


async def test_a_message_that_is_no_task_and_breaks_its_worker_is_set_aside_alone() -> None:
    at_work = Worker(Scripted(answer))
    await at_work.handle(delivered(Undecodable("is no JSON"), attempt=4, interrupted=3))
    (letter,) = at_work.letters.letters
    assert letter.reason is DeadLetterReason.POISON
    assert letter.detail.endswith("is no JSON")


class Broken(MemoryStatusStore):
    async def past(self, task_ids: Collection[TaskId]) -> Mapping[TaskId, Past]:
        raise TypeError("a row that nobody expected")


async def test_a_store_that_breaks_on_a_task_has_it_asked_about_no_more_than_three_times() -> None:
    at_work = Worker(Scripted(answer), store=Broken())
    again = delivered(submitted("t-1"), attempt=2, redelivered=True)
    with pytest.raises(TypeError):
        await at_work.handle(again)
    again.interrupted = 3
    await at_work.handle(again)
    assert [letter.reason for letter in at_work.letters.letters] == [DeadLetterReason.POISON]
    assert at_work.runtime.runs == 0


async def test_a_run_is_not_repeated_because_its_dead_letter_cannot_be_written_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(task: TaskInput, context: RunContext) -> Result:
        raise RunFailed("budget-exceeded", "spent", retryable=False)

    at_work, refused = Worker(Scripted(fail)), 0
    put = at_work.letters.put

    async def away(letter: DeadLetter) -> None:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise LogUnavailable("the topic does not exist", retry_after=0.01)
        await put(letter)

    monkeypatch.setattr(at_work.letters, "put", away)
    async with asyncio.timeout(20):
        await at_work.handle(delivered(submitted("t-1")))
    assert (refused, at_work.runtime.runs, len(at_work.letters.letters)) == (2, 1, 1)
    ending: Event = at_work.events[-1]
    assert isinstance(ending, TaskFailed)
