"""A person's own callable as an agent."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest
from pydantic import BaseModel, JsonValue

from app.adapters.python.runtime import PythonRuntime
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import InvalidAgent, RunFailed
from app.domain.model.events import Artifact, Result
from app.ports.agent_runtime import AgentRuntime, RunContext, TaskInput
from tests.contracts.agent_runtime import AgentRuntimeContract, agent, task
from tests.recording_context import RecordingContext
from tests.waiting import until


class Answer(BaseModel):
    words: int


async def count_words(given: TaskInput, context: RunContext) -> dict[str, JsonValue]:
    await context.report("counting", 0.5)
    return {"words": len(given.text.split())}


def count_in_a_thread(given: TaskInput, context: RunContext) -> Answer:
    return Answer(words=len(given.text.split()))


async def answer_with_a_result(given: TaskInput, context: RunContext) -> Result:
    return Result(output=1, artifacts=(Artifact(name="a.txt", content=given.text),))


async def say_hello(given: TaskInput, context: RunContext) -> str:
    return f"hello {given.text}"


async def break_down(given: TaskInput, context: RunContext) -> str:
    raise KeyError(given.text)


async def give_up_for_now(given: TaskInput, context: RunContext) -> str:
    raise RunFailed("model-busy", "try later", retryable=True, retry_after=3)


async def never_end(given: TaskInput, context: RunContext) -> str:
    await asyncio.Event().wait()
    return "never"


def work_until_canceled(given: TaskInput, context: RunContext) -> str:
    begun.append(given.text)
    while not context.canceled:
        time.sleep(0.005)
    finished.append(given.text)
    return "stopped"


def stop_iterating(given: TaskInput, context: RunContext) -> str:
    return next(iter(()))


def leave(given: TaskInput, context: RunContext) -> str:
    raise SystemExit(3)


def wait_for_the_others(given: TaskInput, context: RunContext) -> str:
    meeting.wait(20)
    return "met"


async def return_no_json(given: TaskInput, context: RunContext) -> object:
    return {"when": object()}


class Greeter:
    greeting = "hi"

    async def __call__(self, given: TaskInput, context: RunContext) -> str:
        return f"{self.greeting} {given.text}"


greeter = Greeter()
begun: list[str] = []
finished: list[str] = []
not_callable = 3
meeting = threading.Barrier(50)


def takes_nothing() -> None: ...


def mine(name: str) -> AgentSpec:
    return agent("python", callable=f"{__name__}:{name}")


class TestPythonRuntime(AgentRuntimeContract):
    tells_its_steps = False

    @pytest.fixture
    def runtime(self) -> AgentRuntime:
        return PythonRuntime()

    @pytest.fixture
    def working(self) -> AgentSpec:
        return mine("count_words")

    @pytest.fixture
    def failing(self) -> AgentSpec:
        return mine("break_down")

    @pytest.fixture(params=["never_end", "work_until_canceled"])
    def endless(self, request: pytest.FixtureRequest) -> AgentSpec:
        return mine(request.param)

    @pytest.fixture
    def unusable(self) -> AgentSpec:
        return mine("nothing_of_that_name")


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("count_words", {"words": 2}),
        ("count_in_a_thread", {"words": 2}),
        ("say_hello", "hello two bikes"),
        ("greeter", "hi two bikes"),
    ],
)
async def test_json_text_and_models_become_the_output(name: str, output: JsonValue) -> None:
    result = await PythonRuntime().run(mine(name), task(), RecordingContext())
    assert result == Result(output=output)


async def test_a_result_is_passed_on_with_its_artifacts() -> None:
    result = await PythonRuntime().run(mine("answer_with_a_result"), task(), RecordingContext())
    assert [each.name for each in result.artifacts] == ["a.txt"]


async def test_an_exception_is_an_agent_error_that_names_it() -> None:
    with pytest.raises(RunFailed) as failure:
        await PythonRuntime().run(mine("break_down"), task(), RecordingContext())
    assert failure.value.failure_code == "agent-error"
    assert failure.value.message == "KeyError: 'two bikes'"
    assert not failure.value.failure_retryable


async def test_a_run_failed_passes_through_unchanged() -> None:
    with pytest.raises(RunFailed) as failure:
        await PythonRuntime().run(mine("give_up_for_now"), task(), RecordingContext())
    assert (failure.value.failure_code, failure.value.retry_after) == ("model-busy", 3)
    assert failure.value.failure_retryable


async def test_what_is_not_json_is_an_agent_error() -> None:
    with pytest.raises(RunFailed, match="not JSON"):
        await PythonRuntime().run(mine("return_no_json"), task(), RecordingContext())


async def test_each_run_in_a_thread_has_one_of_its_own() -> None:
    runtime = PythonRuntime()
    runs = [
        runtime.run(mine("wait_for_the_others"), task(), RecordingContext())
        for _ in range(meeting.parties)
    ]
    assert await asyncio.gather(*runs) == [Result(output="met")] * meeting.parties


async def test_a_thread_that_stops_an_iteration_does_not_hang() -> None:
    with pytest.raises(RunFailed, match="StopIteration"):
        await asyncio.wait_for(
            PythonRuntime().run(mine("stop_iterating"), task(), RecordingContext()), 20
        )


async def test_a_thread_that_wants_to_exit_leaves_the_event_loop_alone() -> None:
    with suppress(SystemExit):  # whoever runs it says what this means
        await PythonRuntime().run(mine("leave"), task(), RecordingContext())
    await asyncio.sleep(0)


async def test_a_canceled_thread_has_stopped_when_the_run_has() -> None:
    begun.clear()
    finished.clear()
    context = RecordingContext()
    running = asyncio.create_task(PythonRuntime().run(mine("work_until_canceled"), task(), context))
    await until(lambda: bool(begun))
    context.cancel()
    running.cancel()
    await asyncio.wait([running], timeout=20)
    assert finished == ["two bikes"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "must be 'module:attribute'"),
        ({"callable": 3}, "must be 'module:attribute'"),
        ({"callable": "no_such_module_anywhere:run"}, "ModuleNotFoundError"),
        ({"callable": f"{__name__}:not_callable"}, "int, not a callable"),
        ({"callable": f"{__name__}:takes_nothing"}, "must take (task, context)"),
        ({"callable": "no-such-entry-point"}, "no entry point"),
        ({"callable": f"{__name__}:say_hello", "modle": "x"}, "'modle'"),
    ],
)
def test_a_callable_that_cannot_be_used_is_refused_at_check(
    settings: dict[str, JsonValue], words: str
) -> None:
    with pytest.raises(InvalidAgent) as refused:
        PythonRuntime().check(agent("python", **settings))
    assert words in refused.value.message
