"""A provider that asks to be left alone is: by a real SDK, over real HTTP, to the next attempt."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.local.catalog import compile_schema
from app.adapters.local.clock import SystemClock
from app.adapters.memory.catalog import MemoryCatalog
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.task_queue import MemoryTaskQueue, MemoryTasks
from app.adapters.memory.tracing import NullTracing
from app.domain.model.events import Event, TaskCompleted, TaskRetryScheduled, TaskStarted
from app.domain.model.ids import RuntimeName
from app.domain.model.retries import RetryPolicy
from app.domain.use_cases.release_delayed import ReleaseDelayed
from app.domain.use_cases.run_task import RunTaskHandler
from tests.builders import WORKER, submitted
from tests.contracts.agent_runtime import agent
from tests.model_server import Fail, ModelServer, Text, rate_limited
from tests.waiting import until

pytest_plugins = ["tests.model_server.fixtures"]

CREWAI = RuntimeName("crewai")


@pytest.fixture
def log() -> MemoryEventLog:
    return MemoryEventLog()


@pytest.fixture
def handle(log: MemoryEventLog, chat_models: LangChainChatModels) -> RunTaskHandler:
    policy = RetryPolicy(attempts=3, backoff_seconds=0.05, jitter=0)
    return RunTaskHandler(
        worker_id=WORKER,
        catalog=MemoryCatalog([agent(CREWAI).model_copy(update={"retry": policy})]).load(),
        runtimes={CREWAI: CrewAIRuntime(chat_models, "openai:gpt-4.1-mini", {}, compile_schema)},
        log=log,
        dead_letters=MemoryDeadLetters(),
        delays=log.delays(),
        clock=SystemClock(),
        tracing=NullTracing(),
        hold_seconds=2.0,
    )


def events(log: MemoryEventLog) -> list[Event]:
    records = (each for shard in log.ends() for each in log.records(shard))
    return [each.message for each in records if isinstance(each.message, Event)]


async def run_to_its_end(log: MemoryEventLog, handle: RunTaskHandler) -> list[Event]:
    """Everything that was told about one task."""
    await log.publish(submitted("t-1", agent="tester", runtime=CREWAI))
    queue, delays = MemoryTaskQueue(MemoryTasks(log)), log.delay_queue(WORKER)
    release = ReleaseDelayed(log, MemoryDeadLetters(), SystemClock())
    working = asyncio.gather(queue.run(handle), delays.run(release))
    try:
        await until(lambda: any(isinstance(each, TaskCompleted) for each in events(log)), 120)
    finally:
        await queue.stop(5)
        await delays.stop()
        await working
    return events(log)


@pytest.mark.parametrize(
    "seconds", [pytest.param(1.5, id="held by the worker"), pytest.param(3, id="with the delays")]
)
async def test_the_next_attempt_comes_not_before_the_provider_wants_it(
    log: MemoryEventLog, handle: RunTaskHandler, model_server: ModelServer, seconds: float
) -> None:
    model_server.script(rate_limited(seconds), Text("An answer."))
    told = await run_to_its_end(log, handle)
    first, second = model_server.seen
    assert seconds <= second.at - first.at < seconds + 5
    (scheduled,) = [each for each in told if isinstance(each, TaskRetryScheduled)]
    assert scheduled.error.code == "model-rate-limited"
    assert [each.attempt for each in told if isinstance(each, TaskStarted)] == [1, 2]


async def test_a_provider_may_name_the_time_instead(
    log: MemoryEventLog, handle: RunTaskHandler, model_server: ModelServer
) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0)
    headers = {"retry-after": format_datetime(at, usegmt=True)}
    model_server.script(Fail(503, "overloaded", headers=headers), Text("An answer."))
    told = await run_to_its_end(log, handle)
    starts = [each.at for each in told if isinstance(each, TaskStarted)]
    assert starts[1] >= at


async def test_without_a_wish_of_the_provider_the_agents_policy_holds(
    log: MemoryEventLog, handle: RunTaskHandler, model_server: ModelServer
) -> None:
    model_server.script(Fail(500), Fail(500), Text("An answer."))
    told = await run_to_its_end(log, handle)
    assert [each.attempt for each in told if isinstance(each, TaskStarted)] == [1, 2, 3]
    waits = [after.at - before.at for before, after in pairwise(model_server.seen)]
    assert waits[0] >= 0.05
    assert waits[1] >= 0.1
