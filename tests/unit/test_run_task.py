"""Running one delivery: its events, and what makes it come again."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from app.domain.model.dead_letters import DeadLetter
from app.domain.model.events import (
    Event,
    Result,
    TaskCompleted,
    TaskProgressed,
    TaskStarted,
    TerminalEvent,
    TraceEvent,
    TraceModelCall,
    TraceStep,
    TraceToken,
    TraceToolCall,
    Usage,
)
from app.domain.model.messages import Message
from app.ports.agent_runtime import RunContext, StopReason, TaskInput
from app.ports.event_log import EventLog, LogUnavailable
from tests.builders import TRACEPARENT, WORKER, canceling, submitted, task_id
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


class _SlowTraces(EventLog):
    """A log that acknowledges traces late, and says what was durable when an ending was taken."""

    def __init__(self, inner: EventLog) -> None:
        self.inner = inner
        self.durable: list[int] = []
        self.taken: list[int] = []
        self.durable_before_the_end: list[int] = []
        self.refusals = 0

    async def append(self, message: Message) -> Awaitable[None]:
        assert isinstance(message, Event)
        if self.refusals and not isinstance(message, TaskStarted):
            self.refusals -= 1
            raise LogUnavailable("away", retry_after=0)
        if isinstance(message, TerminalEvent):
            self.durable_before_the_end = list(self.durable)
        self.taken.append(message.sequence)
        done = await self.inner.append(message)

        async def acknowledged() -> None:
            await asyncio.sleep(0.02 if isinstance(message, TraceEvent) else 0)
            await done
            self.durable.append(message.sequence)

        return asyncio.ensure_future(acknowledged())


@pytest.mark.parametrize("refusals", [0, 1, 3])
@pytest.mark.parametrize("end", ["return", "raise", "cancel", "expire"])
async def test_all_that_a_run_tells_is_durable_and_in_order_before_its_end_is_told(
    end: str, refusals: int
) -> None:
    hang = Hang()

    async def talk(task: TaskInput, context: RunContext) -> Result:
        await context.log("first")
        try:
            if end in ("cancel", "expire"):
                await hang(task, context)
            await context.report("half way", 0.5)
            return Result(output=1 / (end != "raise"))
        finally:
            await context.token("the last ")
            await context.token("words")

    at_work = worker(talk)
    log = _SlowTraces(at_work.log)
    log.refusals = refusals
    at_work.handle = replace(at_work.handle, log=log)
    seconds = 0.05 if end == "expire" else 4
    running = asyncio.create_task(
        at_work.handle(delivered(submitted("t-1", timeout_seconds=seconds)))
    )
    if end == "cancel":
        await hang.begun.wait()
        at_work.handle.cancellations.note(canceling("t-1"))
    await running
    *before, ending = at_work.events
    assert isinstance(ending, TerminalEvent)
    assert "".join(each.text for each in before if isinstance(each, TraceToken)) == (
        "the last words"
    )
    numbers = [each.sequence for each in before]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sorted({*log.durable_before_the_end, 1}) == numbers
    assert log.taken == sorted(log.taken)


async def test_what_a_run_left_behind_tells_nothing_after_its_end() -> None:
    seen: list[object] = []
    left: list[asyncio.Task[None]] = []

    async def stay(context: RunContext) -> None:
        while True:
            await asyncio.sleep(0.005)
            seen.append(context.stop_reason)
            await context.token("and another thing")

    async def leave(task: TaskInput, context: RunContext) -> Result:
        left.append(asyncio.create_task(stay(context)))
        await asyncio.sleep(0.02)
        return Result(output="done")

    at_work = worker(leave)
    await at_work.handle(delivered(submitted("t-1")))
    await asyncio.wait(left, timeout=5)
    assert left[0].cancelled()
    assert seen[-1] is StopReason.OVER
    assert isinstance(at_work.events[-1], TaskCompleted)


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
