"""Agents of the load: quick, slow, careful, blocking and flaky; the ledger knows their runs."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.model.errors import RunFailed
from app.ports.agent_runtime import RunContext, TaskInput
from tests.chaos.ledger import new_run, note, take_effect

Answer = dict[str, object]


@contextmanager
def _run(agent: str, task: TaskInput, context: RunContext) -> Iterator[str]:
    run = new_run()
    note("began", run, task.task_id, agent, context.attempt)
    try:
        yield run
    except BaseException:
        note("stopped", run, task.task_id, agent, context.attempt)
        raise
    note("ended", run, task.task_id, agent, context.attempt)


def _answer(task: TaskInput, run: str) -> Answer:
    return {"echo": task.text, "run": run}


async def short(task: TaskInput, context: RunContext) -> Answer:
    """Do nothing, at once."""
    with _run("short", task, context) as run:
        return _answer(task, run)


async def medium(task: TaskInput, context: RunContext) -> Answer:
    """Wait as long as the task says, and tell half-way how far it is."""
    with _run("medium", task, context) as run:
        await asyncio.sleep(_number(task, "seconds") / 2)
        await context.report("half-way", 0.5)
        await asyncio.sleep(_number(task, "seconds") / 2)
        return _answer(task, run)


async def careful(task: TaskInput, context: RunContext) -> Answer:
    """Three steps with an effect each, made repeatable by the key of its step."""
    with _run("careful", task, context) as run:
        for step in ("reserve", "charge", "ship"):
            await asyncio.sleep(_number(task, "seconds") / 3)
            key = context.idempotency_key(step)
            take_effect(run, task.task_id, step, key, context.attempt)
        return _answer(task, run)


def blocking(task: TaskInput, context: RunContext) -> Answer:
    """Hold a thread, and look now and then whether it should stop."""
    with _run("blocking", task, context) as run:
        until = time.monotonic() + _number(task, "seconds")
        while time.monotonic() < until and not context.canceled:
            time.sleep(0.02)
        return _answer(task, run)


async def flaky(task: TaskInput, context: RunContext) -> Answer:
    """Take effect once, and fail the first attempts, as many as the task says."""
    with _run("flaky", task, context) as run:
        key = context.idempotency_key("try")
        take_effect(run, task.task_id, "try", key, context.attempt)
        if context.attempt <= _number(task, "failures"):
            raise RunFailed("flaky", f"attempt {context.attempt} was to fail", retryable=True)
        return _answer(task, run)


def _number(task: TaskInput, name: str) -> float:
    value = task.parameters.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
