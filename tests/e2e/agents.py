"""Agents of the end-to-end tests; what they do is noted in a file that outlives their worker."""

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import NamedTuple

import structlog

from app.domain.model.events import Result
from app.ports.agent_runtime import RunContext, TaskInput

LEDGER = "TEST_LEDGER"


class Entry(NamedTuple):
    what: str
    task_id: str
    attempt: int
    at: float


async def sleep(task: TaskInput, context: RunContext) -> Result:
    """Sleep for the seconds in `parameters`."""
    note("began", task.task_id, context.attempt)
    await asyncio.sleep(float(str(task.parameters.get("seconds", 0))))
    context.idempotency_key("ended")  # none for whoever must leave the task to another worker
    note("ended", task.task_id, context.attempt)
    return Result(output={"slept": task.parameters.get("seconds")})


async def talk(task: TaskInput, context: RunContext) -> Result:
    """Say it all, and end at once: well, by an error, or when it is stopped."""
    if task.parameters.get("end") == "wait":
        await context.report("waiting")
        try:
            await asyncio.sleep(600)
        finally:
            await _say(task, context)
    await _say(task, context)
    if task.parameters.get("end") == "fail":
        raise ValueError("no more words")
    return Result(output=task.text)


async def _say(task: TaskInput, context: RunContext) -> None:
    for word in task.text.split():
        await context.token(f"{word} ")


async def block(task: TaskInput, context: RunContext) -> Result:
    """Keep everything else from running for the seconds in `parameters`."""
    note("began", task.task_id, context.attempt)
    time.sleep(float(str(task.parameters["seconds"])))  # noqa: ASYNC251  # that is what it is for
    return Result(output="at last")


async def produce(task: TaskInput, context: RunContext) -> Result:
    """Answer with as many characters as `parameters` say."""
    note("began", task.task_id, context.attempt)
    characters = task.parameters["characters"]
    if characters == "all that fits":
        around = len(Result(output="").model_dump_json())
        characters = (context.max_result_bytes or 0) - around
    return Result(output="x" * int(str(characters)))


_diary = logging.getLogger("somebodys.diary")


async def write_a_diary(task: TaskInput, context: RunContext) -> Result:
    """Write from here, from a task, from a thread and by another library, and break."""
    _diary.info("awaited")
    await asyncio.gather(_write("a task of its own"), asyncio.to_thread(_diary.info, "a thread"))
    structlog.get_logger("somebodys.other").warning("by structlog")
    raise ConnectionError("nobody answers")


async def _write(text: str) -> None:
    await asyncio.sleep(0)
    _diary.info(text)


def write_in_a_thread(task: TaskInput, context: RunContext) -> Result:
    _diary.info("in a thread")
    return Result(output="written")


def note(what: str, task_id: str, attempt: int) -> None:
    """One line, whole even when the process is killed right after."""
    ledger = os.open(os.environ[LEDGER], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(ledger, f"{what} {task_id} {attempt} {time.time()}\n".encode())
    os.close(ledger)


def read_ledger(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    lines = (line.split() for line in path.read_text().splitlines())
    return [Entry(what, task, int(attempt), float(at)) for what, task, attempt, at in lines]


async def spend(task: TaskInput, context: RunContext) -> Result:
    """Call a model of one's own as often as `parameters` say, and tell of it unless told not to."""
    calls = int(str(task.parameters.get("calls", 1)))
    for number in range(calls if task.parameters.get("tell", True) else 0):
        call = await context.begin("model", "gpt-4.1-mini", provider="openai")
        note("called", task.task_id, number)
        if task.parameters.get("count", True):
            await context.end(call, input_tokens=1_000, output_tokens=100)
        else:
            await context.end(call)
    return Result(output=calls)
