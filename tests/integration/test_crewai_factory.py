"""Crews that people wrote themselves, run as they are."""

import pytest
from pydantic import JsonValue

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.local.catalog import compile_schema
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import RunFailed
from app.ports.run_identity import RunIdentity, as_run, current_run
from tests.contracts.agent_runtime import agent, task
from tests.model_server import CallTools, ModelServer, Text, context_overflow, rate_limited
from tests.recording_context import RecordingContext

pytest_plugins = ["tests.model_server.fixtures"]

MODEL = "openai:gpt-4o"


def crew(name: str, **fields: JsonValue) -> AgentSpec:
    spec = agent("crewai", factory=f"tests.integration.crews_of_their_own:{name}")
    return spec.model_copy(update=fields)


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


@pytest.fixture
def runtime(chat_models: LangChainChatModels) -> CrewAIRuntime:
    return CrewAIRuntime(chat_models, MODEL, {}, compile_schema)


@pytest.mark.parametrize("name", ["plain", "Project"])
async def test_a_crew_of_ones_own_runs_on_our_model_and_prints_nothing(
    runtime: CrewAIRuntime,
    model_server: ModelServer,
    context: RecordingContext,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    model_server.script(Text("A page."))
    runtime.check(crew(name))
    result = await runtime.run(crew(name), task("{braces} {tools}", topic="bikes"), context)
    assert result.output == "A page."
    (asked,) = model_server.seen
    assert asked.model == "gpt-4o"
    assert "Write about bikes: {braces} " in asked.texts[-1]
    assert context.named("workflow") == ["plain"]
    assert context.named("step") == ["write"]
    assert capfd.readouterr().out == ""


async def test_a_factory_may_ask_for_our_model(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    result = await runtime.run(crew("with_our_model"), task(topic="bikes"), context)
    assert result.output == "All is well."
    assert context.named("model") == ["gpt-4o"]


async def test_a_crew_that_puts_out_data_gives_data(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(Text('{"words": 3}'))
    result = await runtime.run(crew("with_data"), task("a b c", topic="x"), context)
    assert result.output == {"words": 3}


async def test_a_tool_of_crewais_kind_is_used_and_told(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(CallTools.one("shout", text="hey"), Text("HEY, they said."))
    result = await runtime.run(crew("with_a_tool"), task("hey", topic="x"), context)
    assert result.output == "HEY, they said."
    assert "HEY" in model_server.seen[1].texts
    assert context.named("tool") == ["shout"]


async def test_a_second_task_is_not_told_as_the_end(
    runtime: CrewAIRuntime,
    model_server: ModelServer,
    context: RecordingContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model_server.script(CallTools.one("jot", text="one"), Text("A plan."), Text("A page."))
    runs: list[RunIdentity | None] = []

    def note(_: object) -> bool:
        runs.append(current_run())
        return True

    caplog.handler.addFilter(note)
    with as_run(RunIdentity(task().task_id, "tester", 3)):
        await runtime.run(crew("of_two_steps"), task(topic="x"), context)
    assert context.reports == [("plan", 0.0), ("write", 0.5)]
    assert "jotted one" in caplog.messages
    assert set(runs) == {(task().task_id, "tester", 3)}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("that_is_awaited", r"must be a plain `def`"),
        ("no_crew", r"returned no crewai.Crew, but a str"),
        ("that_is_broken", r"no such colleague \(tests/.*crews_of_their_own.py:\d+ in that_is_b"),
    ],
)
async def test_a_factory_that_makes_no_crew_says_what_it_did(
    runtime: CrewAIRuntime, context: RecordingContext, name: str, said: str
) -> None:
    with pytest.raises(RunFailed, match=said):
        await runtime.run(crew(name), task(topic="x"), context)


async def test_a_guardrail_that_accepts_nothing_is_an_invalid_output(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    with pytest.raises(RunFailed) as failed:
        await runtime.run(crew("with_a_guardrail"), task(topic="x"), context)
    assert failed.value.failure_code == "output-invalid"
    assert len(model_server.seen) == 2
    assert context.unpaired() == []


@pytest.mark.parametrize(
    ("step", "code"),
    [(rate_limited(), "model-rate-limited"), (context_overflow(), "context-too-long")],
    ids=["429", "overflow"],
)
async def test_its_own_retries_are_off(
    runtime: CrewAIRuntime,
    model_server: ModelServer,
    context: RecordingContext,
    step: object,
    code: str,
) -> None:
    model_server.script(step)  # type: ignore[arg-type]
    with pytest.raises(RunFailed) as failed:
        await runtime.run(crew("plain"), task(topic="x"), context)
    assert failed.value.failure_code == code
    assert len(model_server.seen) == 1


async def test_a_crew_that_ends_the_process_ends_only_itself(
    runtime: CrewAIRuntime, model_server: ModelServer, context: RecordingContext
) -> None:
    model_server.script(CallTools.one("leave", text="bye"))
    with pytest.raises(RunFailed) as failed:
        await runtime.run(crew("that_exits"), task(topic="x"), context)
    assert failed.value.failure_code == "crew-failed"
    assert context.unpaired() == []


async def test_a_variable_that_nobody_gave_is_invalid(
    runtime: CrewAIRuntime, context: RecordingContext
) -> None:
    with pytest.raises(RunFailed, match="topic") as failed:
        await runtime.run(crew("plain"), task(), context)
    assert failed.value.failure_code == "invalid"


@pytest.mark.parametrize("name", ["nowhere", "no_crew"])
async def test_a_factory_that_makes_no_crew_is_invalid(
    runtime: CrewAIRuntime, context: RecordingContext, name: str
) -> None:
    with pytest.raises(RunFailed) as failed:
        await runtime.run(crew(name), task(), context)
    assert failed.value.failure_code == "invalid"
