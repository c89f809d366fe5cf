"""Crews in processes of their own: the port's contract, and whose keys and connections they use."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.isolation.children import Children
from app.adapters.isolation.runtime import IsolatedRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.local.catalog import compile_schema
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import RunFailed
from app.ports.agent_runtime import AgentRuntime
from app.ports.chat_model import ChatModels
from tests.contracts.agent_runtime import AgentRuntimeContract, agent, task
from tests.integration.own_time import time_to_stop
from tests.model_server import Fail, Hang, ModelServer, Text, rate_limited
from tests.recording_context import RecordingContext

pytest_plugins = ["tests.model_server.fixtures"]

MODEL = "openai:gpt-4.1-mini"


def crews(models: ChatModels) -> AgentRuntime:
    return CrewAIRuntime(models, MODEL, {}, compile_schema)


def apart(**section: str) -> AgentSpec:
    return agent("crewai", **section).model_copy(update={"isolation": "process"})


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    children = Children(["app.adapters.crewai.runtime:import_crewai"])
    yield children
    await children.close()


@pytest.fixture
async def runtime(chat_models: LangChainChatModels, children: Children) -> AgentRuntime:
    await children.warm_up()
    return IsolatedRuntime(crews(chat_models), crews, children, chat_models)


class TestIsolatedCrews(AgentRuntimeContract):
    @pytest.fixture
    async def runtime(self, chat_models: LangChainChatModels, children: Children) -> AgentRuntime:
        await children.warm_up()
        return IsolatedRuntime(crews(chat_models), crews, children, chat_models)

    @pytest.fixture
    def working(self) -> AgentSpec:
        return apart()

    @pytest.fixture
    def failing(self, model_server: ModelServer) -> AgentSpec:
        model_server.script(Fail(500))
        return apart()

    @pytest.fixture
    def endless(self, model_server: ModelServer) -> AgentSpec:
        model_server.script(Hang())
        return apart()

    @pytest.fixture
    def unusable(self) -> AgentSpec:
        return apart(process="chaotic")


async def test_a_crew_asks_its_models_through_the_worker(
    runtime: AgentRuntime, model_server: ModelServer
) -> None:
    context = RecordingContext()
    model_server.script(Text("They are blue.", input_tokens=33, output_tokens=9))
    result = await runtime.run(apart(), task("two bikes"), context)
    assert result.output == "They are blue."
    assert "".join(context.tokens) == "They are blue."
    (call,) = [each for each in context.activities.values() if each.kind == "model"]
    assert (call.input_tokens, call.output_tokens, call.provider) == (33, 9, "openai")


async def test_a_models_failure_keeps_its_code_and_its_wait(
    runtime: AgentRuntime, model_server: ModelServer
) -> None:
    model_server.script(rate_limited())
    with pytest.raises(RunFailed) as failure:
        await runtime.run(apart(), task(), RecordingContext())
    raised = failure.value
    assert (raised.failure_code, raised.retry_after) == ("model-rate-limited", 7)
    assert raised.failure_retryable


async def test_a_canceled_crew_closes_its_connection_and_is_gone_at_once(
    runtime: AgentRuntime, model_server: ModelServer
) -> None:
    model_server.script(Hang())
    context = RecordingContext()
    running = asyncio.create_task(runtime.run(apart(), task(), context))
    asked = await model_server.until_asked(within=60)
    context.cancel()
    assert await time_to_stop(running, asked) < 2
    assert context.unpaired() == []
