"""Crews over real HTTP: what they are asked, what they answer, what is told of them meanwhile."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from pydantic import JsonValue

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.local.catalog import compile_schema
from app.domain.model.agents import AgentSpec
from app.ports.agent_runtime import RunContext
from app.ports.tools import Tool, ToolRefused
from tests.contracts.agent_runtime import AgentRuntimeContract, agent, task
from tests.model_server import CallTools, Fail, Hang, ModelServer, Seen, Step, Text
from tests.recording_context import Activity, RecordingContext

pytest_plugins = ["tests.model_server.fixtures"]

MODEL = "openai:gpt-4.1-mini"


class CountWords(Tool):
    """A tool that also remembers the context it was called in."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    @property
    def name(self) -> str:
        return "count_words"

    @property
    def description(self) -> str:
        return "Counts the words of a text."

    @property
    def arguments(self) -> dict[str, JsonValue]:
        return {
            "type": "object",
            "properties": {"text": {"type": "string"}, "least": {"type": "integer"}},
            "required": ["text"],
        }

    async def call(self, arguments: Mapping[str, JsonValue], context: RunContext) -> str:
        await asyncio.sleep(0)  # on the event loop, like any other work
        self.keys.append(context.idempotency_key("count"))
        assert "least" not in arguments, "what the model left out is left out"
        if not arguments["text"]:
            raise ToolRefused("there is no text")
        return f"{len(str(arguments['text']).split())} words"


WRITERS: dict[str, JsonValue] = {
    "agents": {
        "researcher": {
            "role": "Researcher",
            "goal": "Count.",
            "backstory": "Careful.",
            "tools": ["count_words"],
        },
        "writer": {"role": "Writer", "goal": "Write.", "backstory": "Brief."},
    },
    "tasks": [
        {
            "name": "research",
            "description": "Count the words of: {{ text }}",
            "expected_output": "A number.",
            "agent": "researcher",
        },
        {
            "name": "write",
            "description": "Write it down for {{ parameters.reader }}.",
            "expected_output": "A sentence.",
            "agent": "writer",
            "context": ["research"],
        },
    ],
}


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


@pytest.fixture
def tool() -> CountWords:
    return CountWords()


@pytest.fixture
def runtime(chat_models: LangChainChatModels, tool: CountWords) -> CrewAIRuntime:
    return CrewAIRuntime(chat_models, MODEL, {tool.name: tool}, compile_schema)


class TestCrewAIRuntime(AgentRuntimeContract):
    @pytest.fixture
    def runtime(self, chat_models: LangChainChatModels) -> CrewAIRuntime:
        return CrewAIRuntime(chat_models, MODEL, {}, compile_schema)

    @pytest.fixture
    def working(self) -> AgentSpec:
        return agent("crewai")

    @pytest.fixture
    def failing(self, model_server: ModelServer) -> AgentSpec:
        model_server.script(Fail(500))
        return agent("crewai")

    @pytest.fixture
    def endless(self, model_server: ModelServer) -> AgentSpec:
        model_server.script(Hang())
        return agent("crewai")

    @pytest.fixture
    def unusable(self) -> AgentSpec:
        return agent("crewai", process="chaotic")


async def test_an_agent_is_a_crew_of_one(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(Text("# Two bikes\n\nThey are blue.", input_tokens=33, output_tokens=9))
    result = await runtime.run(agent("crewai"), task("two bikes"), context)
    assert result.output == "# Two bikes\n\nThey are blue."
    (document,) = result.artifacts
    assert (document.name, document.media_type) == ("tester.md", "text/markdown")
    assert "Answer two bikes." in model_server.seen[0].texts[-1]
    assert _tree(context) == [
        "workflow tester",
        "  step tester",
        "    agent Tester",
        "      model gpt-4.1-mini",
    ]
    (call,) = _of_kind(context, "model")
    assert (call.input_tokens, call.output_tokens) == (33, 9)
    assert (call.provider, call.finish_reason) == ("openai", "stop")


async def test_two_agents_work_one_after_the_other_with_a_tool(
    runtime: CrewAIRuntime, tool: CountWords, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(
        CallTools.one("count_words", text="a b c"),
        Text("Three words.", input_tokens=20, output_tokens=3),
        Text("Dear Ann, it is three words.", input_tokens=30, output_tokens=8),
    )
    spec = agent("crewai", **WRITERS)
    runtime.check(spec)
    result = await runtime.run(spec, task("a b c", reader="Ann"), context)
    assert result.output == "Dear Ann, it is three words."
    assert [each.name for each in result.artifacts] == ["research.md", "write.md"]
    assert tool.keys == ["task/count"]
    asked = model_server.seen
    assert asked[0].tools == ["count_words"]
    assert "3 words" in asked[1].texts
    assert "for Ann" in asked[2].texts[-1]
    assert "Three words." in asked[2].texts[-1]
    assert _tree(context) == [
        "workflow tester",
        "  step research",
        "    agent Researcher",
        "      model gpt-4.1-mini",
        "      tool count_words",
        "      model gpt-4.1-mini",
        "  step write",
        "    agent Writer",
        "      model gpt-4.1-mini",
    ]
    spent = [(each.input_tokens, each.output_tokens) for each in _of_kind(context, "model")]
    assert spent == [(11, 7), (20, 3), (30, 8)]
    assert context.reports == [("research", 0.0), ("write", 0.5)]


async def test_what_a_tool_refuses_is_told_to_the_model(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(CallTools.one("count_words", text=""), Text("No words."), Text("Dear Ann."))
    await runtime.run(agent("crewai", **WRITERS), task("", reader="Ann"), context)
    assert "there is no text" in " ".join(model_server.seen[1].texts)
    (called,) = _of_kind(context, "tool")
    assert called.error is not None
    assert "there is no text" in called.error


async def test_the_answer_arrives_word_by_word(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(Text("one two three"))
    model_server.pace = 0.1
    running = asyncio.create_task(runtime.run(agent("crewai"), task(), context))
    async with asyncio.timeout(20):
        while not context.tokens:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert not running.done()
        await running
    assert context.tokens == ["one", " two", " three"]


async def test_the_manager_of_a_hierarchy_delegates(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    def manage(seen: Seen) -> Step:
        text = " ".join(seen.texts)
        if not seen.tools:
            return Text("Three words, says the writer.")
        if "says the writer" in text:
            return Text("All done.")
        told = {"task": "Count.", "context": "None.", "coworker": "Writer"}
        return CallTools.one("delegate_work_to_coworker", **told)

    model_server.script(manage)
    section: dict[str, JsonValue] = {**WRITERS, "process": "hierarchical"}
    section["agents"] = {"writer": {"role": "Writer", "goal": "Write."}}
    section["tasks"] = [
        {"name": "write", "description": "Write.", "expected_output": "It.", "agent": "writer"}
    ]
    result = await runtime.run(agent("crewai", **section), task("a b c"), context)
    assert result.output == "All done."
    assert "Writer" in context.named("agent")
    assert context.unpaired() == []


@pytest.mark.parametrize(
    "text", ["{tools} {tool_names} {input} {role}", "{{ parameters }} {% raw %}", "{unknown} {}"]
)
async def test_braces_reach_the_model_as_they_were_written(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext, text: str
) -> None:
    model_server.script(Text("One."), Text("Two."))
    await runtime.run(agent("crewai", **WRITERS), task(text, reader=text), context)
    assert f"Count the words of: {text}\n" in model_server.seen[0].texts[-1]
    assert f"for {text}." in model_server.seen[1].texts[-1]


def _schema() -> dict[str, JsonValue]:
    return {
        "type": "object",
        "properties": {"words": {"type": "integer"}},
        "required": ["words"],
    }


@pytest.mark.parametrize(
    "said",
    ['{"words": 3}', 'Here it is:\n```json\n{"words": 3}\n```\nGood luck.', 'So: {"words": 3}.'],
)
async def test_an_answer_that_fits_the_schema_is_data(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext, said: str
) -> None:
    model_server.script(Text(said))
    spec = agent("crewai").model_copy(update={"output_schema": _schema()})
    runtime.check(spec)
    result = await runtime.run(spec, task(), context)
    assert result.output == {"words": 3}
    assert result.artifacts == ()
    assert json.dumps(_schema()) in model_server.seen[0].texts[-1]


async def test_an_answer_that_does_not_fit_is_mended_once(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(Text('{"words": "three"}'), Text('{"words": 3}'))
    spec = agent("crewai").model_copy(update={"output_schema": _schema()})
    assert (await runtime.run(spec, task(), context)).output == {"words": 3}
    assert "at /words: must be integer, not string" in model_server.seen[1].texts[-1]
    assert _tree(context)[-2:] == ["step mend the answer", "  model gpt-4.1-mini"]
    assert context.unpaired() == []


async def test_the_tasks_model_goes_before_the_agents_and_the_workers(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    preferring = agent("crewai").model_copy(update={"model": "anthropic:claude-sonnet-5"})
    await runtime.run(preferring, task(), context)
    await runtime.run(preferring, replace(task(), model="openai:gpt-4o"), context)
    assert [each.model for each in model_server.seen] == ["claude-sonnet-5", "gpt-4o"]


async def test_a_crew_works_the_same_on_anthropic(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(
        CallTools((("count_words", {"text": "a"}), ("count_words", {"text": "b c"}))),
        Text("Three words.", input_tokens=20, output_tokens=3),
        Text("Dear Ann, three."),
    )
    spec = agent("crewai", **WRITERS).model_copy(update={"model": "anthropic:claude-sonnet-5"})
    result = await runtime.run(spec, task("a b c", reader="Ann"), context)
    assert result.output == "Dear Ann, three."
    assert context.named("tool") == ["count_words", "count_words"]
    spent = [(each.input_tokens, each.output_tokens) for each in _of_kind(context, "model")]
    assert spent == [(11, 7), (20, 3), (11, 7)]
    assert {each.provider for each in _of_kind(context, "model")} == {"anthropic"}
    assert "".join(context.tokens) == "Three words.Dear Ann, three."


async def test_a_provider_without_native_tools_is_offered_them_in_words(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    def in_words(seen: Seen) -> Step:
        if seen.tools:
            return Fail(400, "this model does not support tools", "invalid_request_error")
        text = " ".join(seen.texts)
        if "Writer" in text or "3 words" in text:
            return Text("Thought: I know.\nFinal Answer: three")
        return Text('Thought: count\nAction: count_words\nAction Input: {"text": "a b c"}')

    model_server.script(in_words)
    result = await runtime.run(agent("crewai", **WRITERS), task("a b c", reader="Ann"), context)
    assert result.output == "three"
    assert "count_words" in context.named("tool")


def _of_kind(context: RecordingContext, kind: str) -> list[Activity]:
    return [each for each in context.activities.values() if each.kind == kind]


def _tree(context: RecordingContext) -> list[str]:
    depth: dict[str | None, int] = {None: -1}
    lines = []
    for key, each in context.activities.items():
        depth[key] = depth[each.parent] + 1
        lines.append(f"{'  ' * depth[key]}{each.kind} {each.name}")
    return lines
