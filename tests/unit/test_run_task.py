"""Running one delivery: its events, its refusals, and what makes it come again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from pydantic import JsonValue
from pydantic_core import from_json

from app.adapters.kafka.cloudevents import portable
from app.adapters.kafka.codec import encode
from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.delays import MemoryDelays
from app.adapters.memory.endings import MemoryEndings
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.status_store import MemoryStatusStore
from app.adapters.memory.tracing import RecordingTracing
from app.domain.model.agents import Agent, AgentCatalog, AgentSpec
from app.domain.model.budgets import Budget
from app.domain.model.commands import Earlier, SubmitTask
from app.domain.model.dead_letters import DeadLetter, DeadLetterReason, Origin
from app.domain.model.errors import InvalidInput, RunFailed, Violation
from app.domain.model.events import (
    Artifact,
    Event,
    Result,
    TaskCompleted,
    TaskFailed,
    TaskProgressed,
    TaskRejected,
    TaskRetryScheduled,
    TaskStarted,
    TraceModelCall,
    TraceStep,
    TraceToken,
    TraceToolCall,
    Usage,
)
from app.domain.model.ids import RuntimeName, TaskId, uuid7
from app.domain.model.lifecycle import Reason
from app.domain.model.messages import Message
from app.domain.model.progress import fold
from app.domain.use_cases.run_task import RunTaskHandler
from app.domain.use_cases.unseen_endings import UnseenEndings
from app.ports.agent_runtime import AgentRuntime, RunContext, TaskInput
from app.ports.event_log import LogUnavailable, Offsets
from app.ports.status_store import ViewUpdate
from app.ports.task_queue import Again, Delivery, Undecodable
from tests.builders import (
    ANALYST,
    RULES,
    TRACEPARENT,
    WORKER,
    at,
    completed,
    failed,
    redriven,
    rejected,
    submitted,
    task_id,
)
from tests.waiting import until

Work = Callable[[TaskInput, RunContext], Awaitable[Result]]


class Scripted(AgentRuntime):
    """A runtime that does what the test says."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.runs = 0

    @property
    def name(self) -> RuntimeName:
        return RULES

    def check(self, spec: AgentSpec) -> None:
        pass

    async def run(self, spec: AgentSpec, task: TaskInput, context: RunContext) -> Result:
        self.runs += 1
        return await self.work(task, context)


def no_blank_input(value: JsonValue) -> tuple[Violation, ...]:
    return () if value else (Violation("", "must not be blank"),)


@dataclass
class Worker:
    """A handler with everything in memory, and what it left behind."""

    runtime: Scripted
    log: MemoryEventLog = field(default_factory=MemoryEventLog)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    clock: MemoryClock = field(default_factory=lambda: MemoryClock(at(60)))
    tracing: RecordingTracing = field(default_factory=RecordingTracing)
    store: MemoryStatusStore | None = None

    def __post_init__(self) -> None:
        spec = AgentSpec(name=ANALYST, description="x", runtimes={RULES: {}}, timeout_seconds=5)
        self.delays = MemoryDelays(self.clock.now)
        self.handle = RunTaskHandler(
            worker_id=WORKER,
            catalog=AgentCatalog([Agent(spec, no_blank_input)]),
            runtimes={RULES: self.runtime},
            log=self.log,
            dead_letters=self.letters,
            delays=self.delays,
            clock=self.clock,
            tracing=self.tracing,
            store=self.store,
            unseen=self.unseen,
        )

    @property
    def unseen(self) -> UnseenEndings | None:
        if self.store is None:
            return None
        return UnseenEndings(self.store, MemoryEndings(self.log), self.clock)

    @property
    def events(self) -> list[Event]:
        records = (each for shard in self.log.ends() for each in self.log.records(shard))
        events = [each.message for each in records if isinstance(each.message, Event)]
        return sorted(events, key=lambda event: (event.attempt, event.sequence))


def worker(work: Work) -> Worker:
    return Worker(Scripted(work))


async def answer(task: TaskInput, context: RunContext) -> Result:
    return Result(output="done")


async def holding(command: SubmitTask, *endings: TaskCompleted) -> MemoryStatusStore:
    """A store that knows a task, and perhaps its end."""
    store = MemoryStatusStore()
    progress = {end.task_id: fold(None, end, offset=0) for end in endings}
    await store.save(ViewUpdate([command], progress, [], before={}, after={}))
    return store


def delivered(
    content: SubmitTask | Undecodable,
    attempt: int = 1,
    *,
    redelivered: bool = False,
    failures: int = 0,
    interrupted: int = 0,
) -> Delivery:
    origin = Origin(topic="t", partition=0, offset=7, timestamp=at(0), key=b"k", value=b"v")
    lost = asyncio.Event()
    return Delivery(content, origin, attempt, redelivered, lost, failures, interrupted)


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


async def failed_by(error: BaseException) -> tuple[Worker, TaskFailed]:
    """The worker whose agent raised this, and how it told the task's end."""

    async def fail(task: TaskInput, context: RunContext) -> Result:
        raise error

    at_work = worker(fail)
    await at_work.handle(delivered(submitted("t-1")))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    return at_work, failed


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunFailed("model-refused", "not like that", retryable=False), "model-refused"),
        (ZeroDivisionError("by zero"), "agent-error"),
        (TimeoutError("of its own"), "agent-error"),
    ],
)
async def test_a_failure_of_the_agent_ends_its_task_and_not_the_worker(
    error: Exception, code: str
) -> None:
    at_work, failed = await failed_by(error)
    assert (failed.error.code, failed.error.retryable) == (code, False)
    assert at_work.letters.letters == []


class Silent(Exception):
    def __str__(self) -> str:
        raise SystemExit(9)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (BaseExceptionGroup("g", [KeyboardInterrupt()]), "BaseExceptionGroup: g (1 sub-exception)"),
        (asyncio.CancelledError(), "it canceled itself"),
        (StopIteration("x"), "RuntimeError: coroutine raised StopIteration"),
        (Silent(), "Silent"),
        (ValueError("half \ud83d"), "ValueError: half \N{REPLACEMENT CHARACTER}"),
        (RunFailed("c" * 10_000, "m", retryable=False), "m"),
        (RunFailed(None, None, retryable=None), "None"),  # type: ignore[arg-type]
    ],
    ids=repr,
)
async def test_whatever_an_agent_raises_ends_its_task_and_not_the_worker(
    error: BaseException, message: str
) -> None:
    _, failed = await failed_by(error)
    assert (failed.error.message, failed.error.retryable) == (message, False)
    assert 0 < len(failed.error.code) <= 200
    assert encode(failed).value


def nested(levels: int) -> JsonValue:
    value: JsonValue = "deep"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "result",
    [
        Result(output="\ud800"),
        Result(output=10**5_000),
        Result(output=nested(61)),
        Result(output=nested(150)),
        Result(output={"a": nested(60)}),
        Result(artifacts=(Artifact(name="a", content="\ud800"),)),
        Result.model_validate({"extra": object()}),
    ],
    ids=["half a character", "number", "nested", "nested far", "in it", "artifact", "object"],
)
async def test_a_result_that_nobody_could_read_fails_the_task_and_says_so(result: Result) -> None:
    async def return_it(task: TaskInput, context: RunContext) -> Result:
        return result

    at_work = worker(return_it)
    await at_work.handle(delivered(submitted("t-1")))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    assert failed.error.code == "agent-error"
    assert failed.error.message.startswith("the result is ")


async def test_the_deepest_result_there_may_be_is_read_back() -> None:
    async def return_it(task: TaskInput, context: RunContext) -> Result:
        return Result(output=nested(60))

    at_work = worker(return_it)
    await at_work.handle(delivered(submitted("t-1")))
    value = encode(at_work.events[-1]).value
    assert portable(from_json(value).values())


async def test_halves_of_characters_in_what_a_run_tells_are_mended() -> None:
    async def tell(task: TaskInput, context: RunContext) -> Result:
        step = await context.begin("step", "a\ud83d")
        await context.report("b\ud83d")
        await context.log("c\ud83d")
        await context.token("\ud83d")
        await context.token("\ude00")
        await context.end(step, error="d\ud83d")
        return Result()

    at_work = worker(tell)
    await at_work.handle(delivered(submitted("t-1")))
    assert [event.sequence for event in at_work.events] == list(range(1, 8))
    told = b"".join(encode(event).value for event in at_work.events).decode()
    assert "\N{GRINNING FACE}" in told
    assert all(f"{letter}\N{REPLACEMENT CHARACTER}" in told for letter in "abcd")


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(float("inf"), 604_800), (1e300, 604_800), (float("nan"), 1), (-5, 1), ("soon", 1)],
)
async def test_a_wait_that_is_none_or_has_no_end_does_not_keep_a_task_for_ever(
    asked: float, waited: float
) -> None:
    async def fail(task: TaskInput, context: RunContext) -> Result:
        raise RunFailed("busy", "later", retryable=True, retry_after=asked)

    at_work = worker(fail)
    with suppress(Again):
        await at_work.handle(delivered(submitted("t-1")))
    scheduled = at_work.events[-1]
    assert isinstance(scheduled, TaskRetryScheduled)
    assert (scheduled.not_before - at(60)).total_seconds() == pytest.approx(waited, rel=0.3)


async def test_a_run_over_its_time_is_stopped_and_fails_by_its_deadline() -> None:
    stopped = asyncio.Event()

    async def hang(task: TaskInput, context: RunContext) -> Result:
        try:
            await asyncio.sleep(600)
        finally:
            stopped.set()
        return Result()

    at_work = worker(hang)
    await at_work.handle(delivered(submitted("t-1", timeout_seconds=0.05)))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    assert failed.reason is Reason.DEADLINE_EXCEEDED
    assert stopped.is_set()


async def test_an_expired_task_is_rejected_without_running() -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(submitted("t-1", expires_at=at(30))))
    (rejected,) = at_work.events
    assert isinstance(rejected, TaskRejected)
    assert rejected.reason is Reason.EXPIRED
    assert at_work.runtime.runs == 0


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (submitted("t-1", agent="stranger"), DeadLetterReason.UNKNOWN_AGENT),
        (submitted("t-1", runtime="crewai"), DeadLetterReason.INVALID),
        (submitted("t-1", input=""), DeadLetterReason.INVALID),
    ],
)
async def test_what_cannot_be_run_is_a_dead_letter_with_its_reason_and_a_rejected_task(
    command: SubmitTask, reason: DeadLetterReason
) -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(command))
    (letter,) = at_work.letters.letters
    assert (letter.reason, letter.origin.value, letter.task_id) == (reason, b"v", command.id)
    (rejected,) = at_work.events
    assert isinstance(rejected, TaskRejected)
    assert rejected.reason is Reason.DEAD_LETTERED


async def test_a_task_with_a_limit_nobody_keeps_is_not_run() -> None:
    at_work = worker(answer)
    budget = Budget.model_validate({"tokens": 9, "max_tokns": 5})
    await at_work.handle(delivered(submitted("t-1").model_copy(update={"budget": budget})))
    (letter,) = at_work.letters.letters
    assert letter.reason is DeadLetterReason.INVALID
    assert "'max_tokns' is no limit" in letter.detail
    assert at_work.runtime.runs == 0
    (refused,) = at_work.events
    assert isinstance(refused, TaskRejected)


async def test_an_undecodable_message_is_a_dead_letter_and_its_task_rejected() -> None:
    at_work = worker(answer)
    await at_work.handle(delivered(Undecodable("no JSON", task_id("t-1"), ANALYST)))
    assert at_work.letters.letters[0].reason is DeadLetterReason.UNDECODABLE
    assert isinstance(at_work.events[0], TaskRejected)


async def test_a_stray_message_with_a_real_tasks_id_does_not_end_that_task() -> None:
    store = await holding(submitted("t-1"))
    at_work = Worker(Scripted(answer), store=store)
    await at_work.handle(delivered(Undecodable("no JSON", task_id("t-1"), ANALYST)))
    assert len(at_work.letters.letters) == 1
    assert at_work.events == []


@pytest.mark.parametrize(("ended", "told"), [("undecodable", 1), ("run-failed", 0)])
async def test_a_redriven_message_that_is_no_task_ends_just_what_it_ended_before(
    ended: str, told: int
) -> None:
    store = MemoryStatusStore()
    ending = rejected("t-1", code=ended, reason=Reason.DEAD_LETTERED)
    progress = {ending.task_id: fold(None, ending, offset=0)}
    await store.save(ViewUpdate([], progress, [], before={}, after={}))
    at_work = Worker(Scripted(answer), store=store)
    again = Undecodable("no JSON", task_id("t-1"), ANALYST, Earlier(attempts=1, redrives=1))
    await at_work.handle(delivered(again, attempt=2))
    assert [event.attempt for event in at_work.events] == [2] * told


async def test_what_was_told_of_a_message_that_is_no_task_goes_with_its_letter() -> None:
    store = MemoryStatusStore()
    ending = rejected("t-1", code="undecodable", reason=Reason.DEAD_LETTERED)
    progress = {ending.task_id: fold(None, ending, offset=0)}
    await store.save(ViewUpdate([], progress, [], before={}, after={}))
    at_work = Worker(Scripted(answer), store=store)
    message = Undecodable("no JSON", task_id("t-1"), ANALYST)
    await at_work.handle(delivered(message, attempt=2, redelivered=True))  # its worker had died
    assert [letter.attempts for letter in at_work.letters.letters] == [2]
    assert [event.attempt for event in at_work.events] == [2]


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
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def hang(task: TaskInput, context: RunContext) -> Result:
        begun.set()
        try:
            await asyncio.sleep(600)
        finally:
            stopped.set()
        return Result()

    at_work = worker(hang)
    run = asyncio.create_task(at_work.handle(delivered(submitted("t-1"))))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert stopped.is_set()
    assert [type(event) for event in at_work.events] == [TaskStarted]


async def test_a_result_too_large_for_the_log_fails_the_task_and_says_so() -> None:
    async def a_lot(task: TaskInput, context: RunContext) -> Result:
        return Result(output="x" * 5_000)

    at_work = Worker(Scripted(a_lot), log=MemoryEventLog(max_message_bytes=2_000))
    await at_work.handle(delivered(submitted("t-1")))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    assert (failed.error.code, failed.sequence) == ("payload-too-large", 2)


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


async def test_a_refusal_that_leaks_from_a_runtime_fails_the_task_and_comes_not_again() -> None:
    async def refuse(task: TaskInput, context: RunContext) -> Result:
        raise InvalidInput("the agent's own words")

    at_work = worker(refuse)
    await at_work.handle(delivered(submitted("t-1")))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    assert failed.error.code == "invalid"


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
    again = replace(delivered(submitted("t-1"), redelivered=True), inherited_at=at(50))
    await at_work.log.publish(completed("t-1"))
    await at_work.handle(again)
    assert at_work.runtime.runs == 0


async def test_an_end_from_before_a_redrive_is_none_whether_the_views_know_of_it_or_not() -> None:
    at_work = Worker(Scripted(answer), store=MemoryStatusStore())
    command = submitted("t-1").model_copy(update={"earlier": Earlier(attempts=1, redrives=1)})
    again = replace(delivered(command, attempt=2, redelivered=True), inherited_at=at(50))
    await at_work.log.publish(failed("t-1"))
    await at_work.handle(again)
    assert at_work.runtime.runs == 1


async def test_what_the_views_lack_is_read_once_for_each_change_of_workers() -> None:
    reads: list[Offsets] = []

    class Counted(MemoryEndings):
        async def behind(self, read: Offsets) -> Mapping[TaskId, int]:
            reads.append(read)
            return await super().behind(read)

    log, clock = MemoryEventLog(), MemoryClock(at(60))
    unseen = UnseenEndings(MemoryStatusStore(), Counted(log), clock)
    await log.publish(completed("t-1"))
    first = [unseen.attempt_of(task_id(name), at(50)) for name in ("t-1", "t-2", "t-1")]
    assert await asyncio.gather(*first) == [1, 0, 1]
    assert len(reads) == 1
    await log.publish(completed("t-2"))
    assert await unseen.attempt_of(task_id("t-2"), at(60)) == 0
    clock.advance(10)
    assert await unseen.attempt_of(task_id("t-2"), at(65)) == 1
    assert len(reads) == 2


async def test_a_task_whose_id_was_made_since_then_is_not_looked_up() -> None:
    command = submitted(uuid7(at(55), bytes(10)))
    at_work = Worker(Scripted(answer), store=await holding(command, completed(command.id)))
    await at_work.handle(replace(delivered(command), inherited_at=at(50)))
    assert at_work.runtime.runs == 1
