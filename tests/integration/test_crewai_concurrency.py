"""Many crews at once, and crews that are stopped."""

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from app.adapters.crewai.runtime import CrewAIRuntime
from app.adapters.langchain.chat_models import LangChainChatModels
from app.adapters.local.catalog import compile_schema
from app.domain.model.ids import TaskId
from tests.contracts.agent_runtime import agent, task
from tests.integration.own_time import time_to_stop
from tests.integration.test_crewai_runtime import WRITERS, CountWords
from tests.model_server import CallTools, Hang, ModelServer, Seen, Step, Text
from tests.recording_context import RecordingContext

pytest_plugins = ["tests.model_server.fixtures"]

MODEL = "openai:gpt-4.1-mini"
AT_ONCE = 16


def no_crew_is_left() -> bool:
    """Whether every crew's thread is over, or about to be."""
    crews = [each for each in threading.enumerate() if each.name.startswith("crew-")]
    for crew in crews:
        crew.join(10)
    return not any(crew.is_alive() for crew in crews)


@pytest.fixture
async def runtime(chat_models: LangChainChatModels) -> CrewAIRuntime:
    ready = CrewAIRuntime(
        chat_models,
        MODEL,
        {"count_words": CountWords()},
        max_crews=AT_ONCE,
        compile_schema=compile_schema,
    )
    await ready.warm_up()
    return ready


async def test_many_crews_at_once_finish_and_their_events_do_not_mix(
    runtime: CrewAIRuntime, model_server: ModelServer
) -> None:
    def answer(seen: Seen) -> Step:
        said = " ".join(seen.texts)
        number = said.split("number-")[1].split("-")[0]
        if "writes" in said:
            return Text(f"letter {number}", after=0.2)
        if "3 words" not in said:
            return CallTools.one("count_words", text=f"number-{number}- a b")
        return Text(f"number-{number}- writes", input_tokens=int(number), after=0.2)

    model_server.script(answer)
    spec = agent("crewai", **WRITERS)
    contexts = [RecordingContext() for _ in range(2 * AT_ONCE)]

    async def run(number: int, context: RecordingContext) -> object:
        about = task(f"number-{number}-", reader="Ann")
        about = replace(about, task_id=TaskId(f"run-{number}"))
        return (await runtime.run(spec, about, context)).output

    async with asyncio.timeout(60):
        outputs = await asyncio.gather(*(run(*each) for each in enumerate(contexts)))
    assert outputs == [f"letter {number}" for number in range(2 * AT_ONCE)]
    for number, context in enumerate(contexts):
        assert context.named("model") == ["gpt-4.1-mini"] * 3
        assert context.named("tool") == ["count_words"]
        assert [each.input_tokens for each in context.activities.values()].count(number) >= 1
        assert "".join(context.tokens) == f"number-{number}- writesletter {number}"
        assert context.unpaired() == []
    assert model_server.most_in_flight > AT_ONCE // 2
    assert no_crew_is_left()


async def test_no_more_crews_than_allowed_run_at_once(
    chat_models: LangChainChatModels, model_server: ModelServer
) -> None:
    runtime = CrewAIRuntime(chat_models, MODEL, {}, compile_schema, max_crews=2)
    model_server.script(Text("done", after=0.1))
    runs = (runtime.run(agent("crewai"), task(), RecordingContext()) for _ in range(6))
    async with asyncio.timeout(30):
        await asyncio.gather(*runs)
    assert model_server.most_in_flight == 2


@pytest.mark.parametrize("tools", [False, True], ids=["alone", "with tools"])
async def test_cancelling_closes_the_models_connection_and_leaves_no_thread(
    runtime: CrewAIRuntime, model_server: ModelServer, tools: bool
) -> None:
    model_server.script(Hang())
    spec = agent("crewai", **WRITERS) if tools else agent("crewai")
    context = RecordingContext()
    running = asyncio.create_task(runtime.run(spec, task(reader="Ann"), context))
    request = await model_server.until_asked(within=60)
    assert await time_to_stop(running, request) < 2
    assert no_crew_is_left()
    assert context.unpaired() == []
    assert len(model_server.seen) == 1


async def test_a_run_that_waits_for_its_turn_can_be_canceled(
    chat_models: LangChainChatModels, model_server: ModelServer
) -> None:
    runtime = CrewAIRuntime(chat_models, MODEL, {}, compile_schema, max_crews=1)
    model_server.script(Hang())
    first = asyncio.create_task(runtime.run(agent("crewai"), task(), RecordingContext()))
    await model_server.until_asked(within=60)
    second = asyncio.create_task(runtime.run(agent("crewai"), task(), RecordingContext()))
    await asyncio.sleep(0.05)
    for running in (second, first):
        running.cancel()
    async with asyncio.timeout(20):
        await asyncio.wait({first, second})
    assert first.cancelled()
    assert second.cancelled()
    assert len(model_server.seen) == 1


async def test_the_event_loop_stays_free_while_crews_start(
    runtime: CrewAIRuntime, model_server: ModelServer
) -> None:
    model_server.script(Text("done", after=0.2))
    lags: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            lags.append(time.perf_counter() - before - 0.01)

    watching = asyncio.create_task(watch())
    runs = (runtime.run(agent("crewai"), task(), RecordingContext()) for _ in range(AT_ONCE))
    await asyncio.gather(*runs)
    watching.cancel()
    print(f"{len(lags)} looks, longest lag {max(lags) * 1000:.0f} ms")
    assert max(lags) < 1.5
