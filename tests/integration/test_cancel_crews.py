"""A crew at work is canceled: its calls end with it, and what it has spent is told."""

import asyncio
import threading
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.local.catalog import compile_schema
from app.adapters.memory.catalog import accept_everything
from app.adapters.memory.clock import MemoryClock
from app.adapters.memory.dead_letters import MemoryDeadLetters
from app.adapters.memory.delays import MemoryDelays
from app.adapters.memory.event_log import MemoryEventLog
from app.adapters.memory.tracing import RecordingTracing
from app.domain.model.agents import Agent, AgentCatalog
from app.domain.model.events import TaskCanceled
from app.domain.use_cases.run_task import RunTaskHandler
from app.ports.agent_runtime import RunContext
from app.ports.tools import Tool
from tests.builders import T0, WORKER, canceling, submitted
from tests.contracts.agent_runtime import agent
from tests.integration.own_time import own_time
from tests.model_server import CallTools, Hang, ModelServer
from tests.unit.at_work import delivered
from tests.waiting import until

pytest_plugins = ["tests.model_server.fixtures"]

WRITER: dict[str, JsonValue] = {
    "agents": {"writer": {"role": "Writer", "goal": "Write.", "tools": ["look_up"]}},
    "tasks": [
        {"name": "write", "description": "Write.", "expected_output": "It.", "agent": "writer"}
    ],
}


class LookUp(Tool):
    """Answers at once, or never."""

    def __init__(self) -> None:
        self.hangs = False
        self.called = asyncio.Event()
        self.canceled = asyncio.Event()

    @property
    def name(self) -> str:
        return "look_up"

    @property
    def description(self) -> str:
        return "Looks something up."

    @property
    def arguments(self) -> dict[str, JsonValue]:
        return {"type": "object", "properties": {"what": {"type": "string"}}}

    async def call(self, arguments: Mapping[str, JsonValue], context: RunContext) -> str:
        self.called.set()
        try:
            await asyncio.sleep(600 if self.hangs else 0)
        except asyncio.CancelledError:
            self.canceled.set()
            raise
        return "found"


def no_crew_is_left() -> bool:
    return not any(each.name.startswith("crew-") for each in threading.enumerate())


@pytest.mark.parametrize("where", ["in a model call", "in a tool"])
async def test_a_crew_is_canceled_within_two_seconds(
    chat_models: LangChainChatModels, model_server: ModelServer, where: str
) -> None:
    tool, log, clock = LookUp(), MemoryEventLog(), MemoryClock(T0)
    tool.hangs = where == "in a tool"
    model_server.script(CallTools.one("look_up", what="bikes"), Hang())
    runtime = CrewAIRuntime(chat_models, "openai:gpt-4.1-mini", {tool.name: tool}, compile_schema)
    writer = agent("crewai", **WRITER)
    handler = RunTaskHandler(
        worker_id=WORKER,
        catalog=AgentCatalog([Agent(writer, accept_everything({}))]),
        runtimes={runtime.name: runtime},
        log=log,
        dead_letters=MemoryDeadLetters(),
        delays=MemoryDelays(clock.now),
        clock=clock,
        tracing=RecordingTracing(),
    )
    running = asyncio.create_task(handler(delivered(submitted("t-1", agent=writer.name))))
    if tool.hangs:
        await asyncio.wait_for(tool.called.wait(), 60)
    else:
        asked = await model_server.until_asked(2, within=60)
    async with own_time() as passed:
        handler.cancellations.note(canceling("t-1", "changed my mind"))
        await asyncio.wait_for(running, 30)
        assert passed() < 2
    if tool.hangs:
        assert tool.canceled.is_set()
    else:
        await asyncio.wait_for(asked.abandoned.wait(), 10)
    await until(no_crew_is_left)  # a thread says that it is done before it is gone
    canceled = [
        record.message
        for shard in log.ends()
        for record in log.records(shard)
        if isinstance(record.message, TaskCanceled)
    ]
    assert [each.message for each in canceled] == ["changed my mind"]
    spent = canceled[0].usage
    assert (spent.input_tokens, spent.output_tokens, spent.tool_calls) == (11, 7, 1)
