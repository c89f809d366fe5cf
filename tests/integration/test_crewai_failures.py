"""How a crew fails over real HTTP: each failure has its code, and is asked for once."""

from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.local.catalog import compile_schema
from app.domain.model.errors import InvalidAgent, RunFailed
from app.ports.agent_runtime import RunContext
from app.ports.tools import Tool, ToolFailed
from tests.contracts.agent_runtime import agent, task
from tests.model_server import (
    CallTools,
    Drop,
    Fail,
    Garble,
    Hang,
    ModelServer,
    Step,
    Text,
    context_overflow,
    overloaded,
    rate_limited,
    unauthorized,
)
from tests.recording_context import RecordingContext

pytest_plugins = ["tests.model_server.fixtures"]

MODEL = "openai:gpt-4.1-mini"
BROKEN: dict[str, JsonValue] = {
    "agents": {"one": {"role": "One", "goal": "Use it.", "tools": ["broken"]}},
    "tasks": [{"name": "use", "description": "Use it.", "expected_output": "It.", "agent": "one"}],
}


class BrokenTool(Tool):
    """Raises what it is given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    @property
    def name(self) -> str:
        return "broken"

    @property
    def description(self) -> str:
        return "Does not work."

    @property
    def arguments(self) -> dict[str, JsonValue]:
        return {"type": "object", "properties": {}}

    async def call(self, arguments: Mapping[str, JsonValue], context: RunContext) -> str:
        raise self.error


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


@pytest.fixture
def runtime(chat_models: LangChainChatModels) -> CrewAIRuntime:
    return CrewAIRuntime(chat_models, MODEL, {}, compile_schema)


@pytest.mark.parametrize(
    ("step", "code", "retryable"),
    [
        pytest.param(rate_limited(), "model-rate-limited", True, id="429"),
        pytest.param(overloaded(), "model-unavailable", True, id="503"),
        pytest.param(Fail(500), "model-unavailable", True, id="500"),
        pytest.param(unauthorized(), "model-unauthorized", False, id="401"),
        pytest.param(Fail(403), "model-unauthorized", False, id="403"),
        pytest.param(Fail(404, "no such model"), "model-unknown", False, id="404"),
        pytest.param(Fail(400, "bad request"), "model-refused", False, id="400"),
        pytest.param(context_overflow(), "context-too-long", False, id="overflow"),
        pytest.param(Drop(), "model-unreachable", True, id="drop"),
        pytest.param(Text(""), "model-empty-answer", True, id="empty"),
        pytest.param(Garble(), "model-unavailable", True, id="garbled"),
    ],
)
async def test_a_models_failure_has_its_code_and_is_asked_for_once(
    runtime: CrewAIRuntime,
    model_server: ModelServer,
    context: RecordingContext,
    step: Step,
    code: str,
    retryable: bool,
) -> None:
    model_server.script(step)
    with pytest.raises(RunFailed) as failed:
        await runtime.run(agent("crewai"), task(), context)
    assert failed.value.failure_code == code
    assert failed.value.failure_retryable is retryable
    assert failed.value.retry_after == (7 if code == "model-rate-limited" else None)
    assert len(model_server.seen) == 1
    assert context.unpaired() == []
    assert all(each.error for each in context.activities.values())


async def test_a_context_too_long_fails_with_tools_too_and_spares_the_process(
    chat_models: LangChainChatModels, model_server: ModelServer, context: RecordingContext
) -> None:
    runtime = CrewAIRuntime(
        chat_models, MODEL, {"broken": BrokenTool(ValueError())}, compile_schema
    )
    model_server.script(context_overflow())
    with pytest.raises(RunFailed) as failed:
        await runtime.run(agent("crewai", **BROKEN), task(), context)
    assert failed.value.failure_code == "context-too-long"
    assert len(model_server.seen) == 1


async def test_a_failure_is_told_once_and_neither_logged_nor_printed(
    runtime: CrewAIRuntime,
    model_server: ModelServer,
    context: RecordingContext,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    model_server.script(overloaded())
    with pytest.raises(RunFailed):
        await runtime.run(agent("crewai"), task(), context)
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []
    assert capfd.readouterr() == ("", "")


async def test_no_answer_in_time_is_unreachable(
    model_server: ModelServer, context: RecordingContext
) -> None:
    models = LangChainChatModels(timeout=0.5, base_urls={"openai": model_server.openai_url})
    model_server.script(Hang())
    with pytest.raises(RunFailed) as failed:
        await CrewAIRuntime(models, MODEL, {}, compile_schema).run(agent("crewai"), task(), context)
    assert failed.value.failure_code == "model-unreachable"
    assert failed.value.failure_retryable


async def test_a_model_without_a_key_is_unauthorized(context: RecordingContext) -> None:
    runtime = CrewAIRuntime(
        LangChainChatModels(environ={}), MODEL, {}, compile_schema=compile_schema
    )
    with pytest.raises(RunFailed, match="OPENAI_API_KEY") as failed:
        await runtime.run(agent("crewai"), task(), context)
    assert failed.value.failure_code == "model-unauthorized"


@pytest.mark.parametrize("said", ["three", '{"words": "three"}', "[1, 2"])
async def test_an_answer_that_never_fits_is_invalid_after_one_repair(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext, said: str
) -> None:
    model_server.script(Text(said))
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": {"words": {"type": "integer"}},
        "required": ["words"],
    }
    with pytest.raises(RunFailed) as failed:
        await runtime.run(
            agent("crewai").model_copy(update={"output_schema": schema}), task(), context
        )
    assert failed.value.failure_code == "output-invalid"
    assert not failed.value.failure_retryable
    assert len(model_server.seen) == 2
    assert context.unpaired() == []


@pytest.mark.parametrize(
    ("error", "retryable"),
    [(ToolFailed("no disk", retryable=True), True), (RuntimeError("a bug"), False)],
    ids=["failed", "a bug"],
)
async def test_a_tool_that_fails_ends_the_run(
    chat_models: LangChainChatModels,
    model_server: ModelServer,
    context: RecordingContext,
    error: Exception,
    retryable: bool,
) -> None:
    runtime = CrewAIRuntime(chat_models, MODEL, {"broken": BrokenTool(error)}, compile_schema)
    model_server.script(CallTools.one("broken"), Text("Never mind."))
    with pytest.raises(RunFailed, match=str(error)) as failed:
        await runtime.run(agent("crewai", **BROKEN), task(), context)
    assert failed.value.failure_code == "tool-failed"
    assert failed.value.failure_retryable is retryable
    assert len(model_server.seen) == 1
    assert context.unpaired() == []


async def test_a_task_that_lacks_what_the_template_names_is_invalid(
    runtime: CrewAIRuntime, context: RecordingContext
) -> None:
    spec = agent("crewai").model_copy(update={"instructions": "For {{ parameters.reader }}."})
    with pytest.raises(RunFailed, match="reader") as failed:
        await runtime.run(spec, task(), context)
    assert failed.value.failure_code == "invalid"
    assert not failed.value.failure_retryable


async def test_a_context_that_refuses_a_model_call_ends_the_run_before_it(
    runtime: CrewAIRuntime, model_server: ModelServer
) -> None:
    class BudgetSpent(Exception):
        """Stands for whatever a worker may object with."""

    class Strict(RecordingContext):
        async def begin(self, kind, name, parent=None, provider=None, **about):  # type: ignore[no-untyped-def]
            if kind == "model":
                raise BudgetSpent
            return await super().begin(kind, name, parent, provider, **about)

    context = Strict()
    with pytest.raises(BudgetSpent):
        await runtime.run(agent("crewai"), task(), context)
    assert model_server.seen == []
    assert context.unpaired() == []


def test_an_unknown_tool_is_refused_at_start(runtime: CrewAIRuntime) -> None:
    with pytest.raises(InvalidAgent, match="uses broken; the tools are: none"):
        runtime.check(agent("crewai", **BROKEN))


def test_an_agent_without_any_model_is_refused_at_start(chat_models: LangChainChatModels) -> None:
    with pytest.raises(InvalidAgent, match="CREWLINE_WORKER__MODEL"):
        CrewAIRuntime(chat_models, None, {}, compile_schema).check(agent("crewai"))


def test_a_model_without_a_provider_is_refused_at_start(chat_models: LangChainChatModels) -> None:
    with pytest.raises(InvalidAgent, match="write provider:name"):
        CrewAIRuntime(chat_models, "gpt-4.1-mini", {}, compile_schema).check(agent("crewai"))


def test_a_missing_key_is_told_in_one_line() -> None:
    runtime = CrewAIRuntime(
        LangChainChatModels(environ={}), "openai:gpt-4o-mini", {}, compile_schema=compile_schema
    )
    assert runtime.missing_key(agent("crewai")) == (
        "tester needs OPENAI_API_KEY for openai:gpt-4o-mini; "
        "set it, or choose another model with CREWLINE_WORKER__MODEL"
    )
    own = LangChainChatModels(environ={"OPENAI_API_KEY": "x"})
    assert (
        CrewAIRuntime(own, "openai:gpt-4o-mini", {}, compile_schema).missing_key(agent("crewai"))
        is None
    )
