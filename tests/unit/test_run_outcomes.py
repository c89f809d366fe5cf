"""Whatever an agent does, its task has an outcome and its worker lives on."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue
from pydantic_core import from_json

from app.adapters.kafka.cloudevents import portable
from app.adapters.kafka.codec import encode
from app.adapters.local.result_spool import FileSpool
from app.adapters.memory.event_log import MemoryEventLog
from app.domain.model.errors import InvalidInput, RunFailed
from app.domain.model.events import (
    Artifact,
    Result,
    TaskCompleted,
    TaskFailed,
    TaskProgressed,
    TaskRetryScheduled,
    TraceToken,
)
from app.domain.model.lifecycle import Reason
from app.domain.model.retries import RetryPolicy
from app.ports.agent_runtime import RunContext, TaskInput
from app.ports.task_queue import Again
from tests.builders import at, submitted
from tests.unit.at_work import Hang, Scripted, Worker, delivered, worker


async def failed_at(at_work: Worker, **asked: Any) -> TaskFailed:
    """How a worker told the end of a task that it could not do."""
    await at_work.handle(delivered(submitted("t-1", **asked)))
    failed = at_work.events[-1]
    assert isinstance(failed, TaskFailed)
    return failed


async def failed_by(error: BaseException) -> tuple[Worker, TaskFailed]:
    """The worker whose agent raised this, and how it told the task's end."""

    async def fail(task: TaskInput, context: RunContext) -> Result:
        raise error

    at_work = worker(fail)
    return at_work, await failed_at(at_work)


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

    failed = await failed_at(worker(return_it))
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
    hang = Hang()
    failed = await failed_at(worker(hang), timeout_seconds=0.05)
    assert failed.reason is Reason.DEADLINE_EXCEEDED
    assert hang.stopped.is_set()


async def test_a_result_too_large_for_the_log_fails_the_task_and_says_so() -> None:
    async def a_lot(task: TaskInput, context: RunContext) -> Result:
        return Result(output="x" * 5_000)

    failed = await failed_at(Worker(Scripted(a_lot), log=MemoryEventLog(max_message_bytes=2_000)))
    assert (failed.error.code, failed.sequence) == ("payload-too-large", 2)
    assert "it is not kept" in failed.error.message


async def test_of_a_result_too_large_the_task_shows_the_beginning_and_where_the_rest_lies(
    tmp_path: Path,
) -> None:
    seen: list[int | None] = []

    async def a_lot(task: TaskInput, context: RunContext) -> Result:
        seen.append(context.max_result_bytes)
        pages = tuple(Artifact(name=f"{number}.md", content="é" * 9_000) for number in range(30))
        return Result(output={"pages": 30, "text": "x" * 100_000}, artifacts=pages)

    at_work = Worker(Scripted(a_lot), log=MemoryEventLog(max_message_bytes=100_000))
    at_work.handle = replace(at_work.handle, spool=FileSpool(tmp_path / "spool", 10_000_000))
    failed = await failed_at(at_work)
    assert seen == [95_904]
    assert failed.error.retryable is False
    assert "bytes of JSON, and 95,904 fit; all of it is kept by " in failed.error.message
    (kept,) = (tmp_path / "spool").iterdir()
    assert str(kept) in failed.error.message
    whole = Result.model_validate_json(kept.read_bytes())
    assert len(whole.artifacts) == 30
    assert failed.result is not None
    assert isinstance(failed.result.output, str)
    assert failed.result.output.startswith('{"pages":30,"text":"xxx')
    assert [each.name for each in failed.result.artifacts] == [f"{n}.md" for n in range(10)]
    assert at_work.runtime.runs == 1
    assert at_work.letters.letters == []


async def test_a_result_that_did_not_fit_is_never_made_again_whatever_the_policy_names() -> None:
    async def refuse(task: TaskInput, context: RunContext) -> Result:
        raise RunFailed("payload-too-large", "9 MB", retryable=True)

    retry = RetryPolicy(attempts=3, codes=frozenset({"payload-too-large"}))
    at_work = worker(refuse, retry=retry)
    await at_work.handle(delivered(submitted("t-1")))
    assert isinstance(at_work.events[-1], TaskFailed)
    assert at_work.runtime.runs == 1


async def test_a_text_beside_the_result_is_cut_and_ends_no_run() -> None:
    async def talkative(task: TaskInput, context: RunContext) -> Result:
        await context.report("r" * 500_000)
        await context.log("\x00" * 500_000)
        await context.token("t" * 500_000)
        step = await context.begin("step", "s" * 500_000)
        await context.end(step, error="e" * 500_000)
        return Result(output="done")

    at_work = Worker(Scripted(talkative), log=MemoryEventLog(max_message_bytes=100_000))
    await at_work.handle(delivered(submitted("t-1")))
    *told, completed = at_work.events
    assert isinstance(completed, TaskCompleted)
    assert [each.sequence for each in told] == list(range(1, len(told) + 1))
    assert "".join(each.text for each in told if isinstance(each, TraceToken)) == "t" * 500_000
    (reported,) = [each for each in told if isinstance(each, TaskProgressed)]
    assert reported.message.endswith("(487,500 more characters)")


async def test_a_refusal_that_leaks_from_a_runtime_fails_the_task_and_comes_not_again() -> None:
    async def refuse(task: TaskInput, context: RunContext) -> Result:
        raise InvalidInput("the agent's own words")

    failed = await failed_at(worker(refuse))
    assert failed.error.code == "invalid"
