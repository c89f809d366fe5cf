"""Running one delivery: its events, and what makes it come again."""

import asyncio
from collections.abc import Awaitable

import pytest

from app.domain.model.dead_letters import DeadLetter
from app.domain.model.events import (
    Result,
    TaskCompleted,
    TaskProgressed,
    TaskStarted,
    TraceModelCall,
    TraceStep,
    TraceToken,
    TraceToolCall,
    Usage,
)
from app.domain.model.messages import Message
from app.ports.agent_runtime import RunContext, TaskInput
from app.ports.event_log import LogUnavailable
from tests.builders import TRACEPARENT, WORKER, submitted, task_id
from tests.unit.at_work import Hang, answer, delivered, worker
from tests.waiting import until


async def test_a_run_tells_its_start_and_its_result() -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(submitted("t-1"), attempt=3))
    started, completed = at_work.events
    assert isinstance(started, TaskStarted)
    assert isinstance(completed, TaskCompleted)
    assert completed.result.output == "done"
    assert {(e.attempt, e.worker_id, e.task_id) for e in at_work.events} == {
        (3, WORKER, task_id("t-1"))
    }


async def test_all_that_a_run_tells_is_numbered_without_a_gap_and_its_spending_added_up() -> None:
    async def work(task: TaskInput, context: RunContext) -> Result:
        crew = await context.begin("workflow", "crew")
        await context.report("thinking", 0.5)
        call = await context.begin("model", "gpt", parent=crew, provider="openai")
        await context.token("Hel", call)
        await context.token("lo", call)
        await context.end(call, input_tokens=11, output_tokens=7, finish_reason="stop")
        tool = await context.begin("tool", "search", parent=crew)
        await context.end(tool, error="no network")
        await context.end(crew)
        return Result(output="done")

    at_work = worker(work)
    await at_work.handle(delivered(submitted("t-1")))
    events = at_work.events
    assert [type(event) for event in events] == [
        TaskStarted,
        TraceStep,
        TaskProgressed,
        TraceToken,
        TraceModelCall,
        TraceToolCall,
        TraceStep,
        TaskCompleted,
    ]
    assert [event.sequence for event in events] == list(range(1, 9))
    assert events[3].text == "Hello"  # type: ignore[attr-defined]
    spent = Usage(input_tokens=11, output_tokens=7, model_calls=1, tool_calls=1)
    assert events[-1].usage == spent  # type: ignore[attr-defined]
    model = at_work.tracing.runs[0].activities[1]
    assert (model.name, model.parent, model.input_tokens) == ("gpt", "crew", 11)


async def test_a_log_that_is_away_hears_of_the_run_later_and_the_task_runs_once() -> None:
    at_work = worker(answer)
    append, refused = at_work.log.append, 0

    async def away(message: Message) -> Awaitable[None]:
        nonlocal refused
        if refused < 3:
            refused += 1
            raise LogUnavailable("the broker is away", retry_after=0)
        return await append(message)

    at_work.log.append = away  # type: ignore[method-assign]
    await at_work.handle(delivered(submitted("t-1")))
    assert at_work.runtime.runs == 1
    assert [(event.TYPE, event.sequence) for event in at_work.events] == [
        (TaskStarted.TYPE, 1),
        (TaskCompleted.TYPE, 2),
    ]


async def test_what_was_not_acknowledged_is_told_again_and_nothing_else() -> None:
    at_work = worker(answer)
    append, lost = at_work.log.append, 0

    async def never() -> None:
        raise LogUnavailable("not acknowledged in time", retry_after=0)

    async def losing(message: Message) -> Awaitable[None]:
        nonlocal lost
        if isinstance(message, TaskCompleted) and lost < 2:
            lost += 1
            return asyncio.ensure_future(never())
        return await append(message)

    at_work.log.append = losing  # type: ignore[method-assign]
    await at_work.handle(delivered(submitted("t-1")))
    assert at_work.runtime.runs == 1
    assert [event.TYPE for event in at_work.events] == [TaskStarted.TYPE, TaskCompleted.TYPE]


async def test_a_dead_letter_that_cannot_be_posted_raises_so_that_it_comes_again() -> None:
    at_work = worker(answer)

    async def away(letter: DeadLetter) -> None:
        raise LogUnavailable("the broker is away")

    at_work.letters.put = away  # type: ignore[method-assign]
    with pytest.raises(LogUnavailable):
        await at_work.handle(delivered(submitted("t-1", input="")))


async def test_a_run_that_is_cut_off_tells_no_ending_and_stops_its_work() -> None:
    hang = Hang()
    at_work = worker(hang)
    run = asyncio.create_task(at_work.handle(delivered(submitted("t-1"))))
    await hang.begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert hang.stopped.is_set()
    assert [type(event) for event in at_work.events] == [TaskStarted]


async def test_a_run_is_traced_in_the_context_it_travelled_with() -> None:
    at_work = worker(answer)
    command = submitted("t-1").model_copy(update={"traceparent": TRACEPARENT})
    await at_work.handle(delivered(command))
    assert at_work.tracing.runs[0].traceparent == TRACEPARENT


async def test_an_idempotency_key_is_the_same_in_every_attempt_and_for_no_other_step() -> None:
    keys: list[str] = []

    async def note(task: TaskInput, context: RunContext) -> Result:
        keys.extend([context.idempotency_key("pay"), context.idempotency_key("mail")])
        return Result()

    for attempt in (1, 2):
        await worker(note).handle(delivered(submitted("t-1"), attempt=attempt))
    assert keys[:2] == keys[2:]
    assert keys[0] != keys[1]


async def test_an_agent_sees_that_its_time_is_over_before_it_is_stopped() -> None:
    begun, seen = list[None](), list[bool]()

    async def look(task: TaskInput, context: RunContext) -> Result:
        begun.append(None)
        try:
            await asyncio.sleep(600)
        finally:
            seen.append(context.canceled)
        return Result()

    at_work = worker(look)
    await at_work.handle(delivered(submitted("t-1", timeout_seconds=0.05)))
    running = asyncio.create_task(at_work.handle(delivered(submitted("t-2"))))
    await until(lambda: len(begun) == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert seen == [True, True]
