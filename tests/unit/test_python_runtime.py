"""A person's own callable as an agent."""

import asyncio
import datetime
import functools
import json
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

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


def ask_a_library(given: TaskInput, context: RunContext) -> object:
    return json.loads(given.text)


def ask_a_library_through_another(given: TaskInput, context: RunContext) -> object:
    return functools.partial(ask_a_library, given)(context)


async def return_no_json(given: TaskInput, context: RunContext) -> object:
    return {"when": object()}


class Order(BaseModel):
    at: object


async def return_a_model_that_is_no_json(given: TaskInput, context: RunContext) -> Order:
    return Order(at=[1, datetime.timezone])


NO_JSON: dict[str, object] = {
    "date": {"orders": [{"ok": 1}, {"made at": datetime.date(2026, 1, 31)}]},
    "key": {"by year": {2026: "a"}},
    "tuple": {"a/b": (1, 2)},
    "set": {1},
    "bytes": [b"x"],
    "nan": {"prices": [1.5, math.nan]},
}


async def return_this(given: TaskInput, context: RunContext) -> object:
    return NO_JSON[given.text]


def say_it_in_pieces(given: TaskInput, context: RunContext) -> Iterator[str]:
    yield from given.text.split()


async def stream_it(given: TaskInput, context: RunContext) -> AsyncIterator[str]:
    for word in given.text.split():
        yield word


class Streamer:
    async def __call__(self, given: TaskInput, context: RunContext) -> AsyncIterator[str]:
        yield given.text

    def pieces(self, given: TaskInput, context: RunContext) -> Iterator[str]:
        yield given.text

    async def whole(self, given: TaskInput, context: RunContext) -> str:
        return f"whole {given.text}"

    @staticmethod
    def plain(given: TaskInput, context: RunContext) -> str:
        return f"plain {given.text}"


class Job:
    def __init__(self, given: TaskInput, context: RunContext) -> None:
        self.text = given.text


def return_a_generator(given: TaskInput, context: RunContext) -> object:
    return (word for word in given.text.split())


def logged(call: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(call)
    def wrapper(*given: object) -> object:
        return call(*given)

    return wrapper


async def greet(greeting: str, given: TaskInput, context: RunContext) -> str:
    return f"{greeting} {given.text}"


def greet_at_once(greeting: str, given: TaskInput, context: RunContext) -> str:
    return f"{greeting} {given.text}"


class Shout:
    def __call__(self, given: TaskInput, context: RunContext) -> str:
        return given.text.upper()


class Greeter:
    greeting = "hi"

    async def __call__(self, given: TaskInput, context: RunContext) -> str:
        return f"{self.greeting} {given.text}"


greeter = Greeter()
streamer = Streamer()
shout = Shout()
shorten = lambda given, context: given.text[:3]  # noqa: E731  what people write
wrapped = logged(say_hello)
partly = functools.partial(greet, "ahoy")
partly_at_once = functools.partial(greet_at_once, "ahoy")
partly_greeter = functools.partial(greeter)
remembered = functools.lru_cache(shout)
partly_streaming = functools.partial(stream_it)
partly_a_class = functools.partial(Job)
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
        ("shout", "TWO BIKES"),
        ("shorten", "two"),
        ("wrapped", "hello two bikes"),
        ("partly", "ahoy two bikes"),
        ("partly_at_once", "ahoy two bikes"),
        ("partly_greeter", "hi two bikes"),
        ("streamer.whole", "whole two bikes"),
        ("Streamer.plain", "plain two bikes"),
        ("streamer.plain", "plain two bikes"),
    ],
)
async def test_json_text_and_models_become_the_output(name: str, output: JsonValue) -> None:
    runtime = PythonRuntime()
    runtime.check(mine(name))
    result = await runtime.run(mine(name), task(), RecordingContext())
    assert result == Result(output=output)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("say_it_in_pieces", "is a generator: `return` the result"),
        ("streamer.pieces", "is a generator: `return` the result"),
        ("stream_it", "is an async generator: `return` the result"),
        ("streamer", "is an async generator: `return` the result"),
        ("partly_streaming", r"await context\.token\(text\)"),
        ("Job", r"is a class.*__call__\(self, task, context\)"),
        ("partly_a_class", "is a class"),
        ("Shout", "is a class"),
        ("Streamer.whole", r"must take \(task, context\)"),
        ("not_callable", "not a callable"),
    ],
)
def test_what_does_no_work_when_it_is_called_is_refused_with_what_to_write_instead(
    name: str, words: str
) -> None:
    with pytest.raises(InvalidAgent, match=words):
        PythonRuntime().check(mine(name))


async def test_a_result_is_passed_on_with_its_artifacts() -> None:
    result = await PythonRuntime().run(mine("answer_with_a_result"), task(), RecordingContext())
    assert [each.name for each in result.artifacts] == ["a.txt"]


async def test_an_exception_is_an_agent_error_that_names_it() -> None:
    with pytest.raises(RunFailed) as failure:
        await PythonRuntime().run(mine("break_down"), task(), RecordingContext())
    assert failure.value.failure_code == "agent-error"
    line = break_down.__code__.co_firstlineno + 1
    place = f"(tests/unit/test_python_runtime.py:{line} in break_down)"
    assert failure.value.message == f"KeyError: 'two bikes' {place}"
    assert not failure.value.failure_retryable


async def test_a_run_failed_passes_through_unchanged() -> None:
    with pytest.raises(RunFailed) as failure:
        await PythonRuntime().run(mine("give_up_for_now"), task(), RecordingContext())
    assert (failure.value.failure_code, failure.value.retry_after) == ("model-busy", 3)
    assert failure.value.failure_retryable


async def test_what_is_not_json_is_an_agent_error() -> None:
    with pytest.raises(RunFailed, match="a dict that is not JSON: at /when is an object"):
        await PythonRuntime().run(mine("return_no_json"), task(), RecordingContext())


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("date", "a dict that is not JSON: at /orders/1/made at is a date"),
        ("key", "a dict that is not JSON: at /by year has a key that is an int, not a text"),
        ("tuple", "a dict that is not JSON: at /a~1b is a tuple"),
        ("set", "a set that is not JSON: it is a set"),
        ("bytes", "a list that is not JSON: at /0 is a bytes"),
        ("nan", "a dict that is not JSON: at /prices/1 is nan, which is no number in JSON"),
    ],
)
async def test_what_is_not_json_is_named_with_its_place(what: str, where: str) -> None:
    with pytest.raises(RunFailed) as failure:
        await PythonRuntime().run(mine("return_this"), task(what), RecordingContext())
    assert failure.value.message == f"the callable returned {where}"


async def test_a_model_that_is_not_json_names_the_place_too() -> None:
    with pytest.raises(RunFailed, match="an Order that is not JSON: at /at/1 is a type"):
        await PythonRuntime().run(
            mine("return_a_model_that_is_no_json"), task(), RecordingContext()
        )


async def test_a_generator_that_is_returned_says_what_to_return() -> None:
    with pytest.raises(RunFailed, match="a generator: return what it yields"):
        await PythonRuntime().run(mine("return_a_generator"), task(), RecordingContext())


@pytest.mark.parametrize("name", ["ask_a_library", "ask_a_library_through_another"])
async def test_the_place_of_an_error_is_in_peoples_code_and_not_in_what_it_calls(
    name: str,
) -> None:
    line = ask_a_library.__code__.co_firstlineno + 1
    with pytest.raises(RunFailed) as failure:
        await PythonRuntime().run(mine(name), task(), RecordingContext())
    assert failure.value.message.startswith("JSONDecodeError: Expecting value")
    assert failure.value.message.endswith(
        f"(tests/unit/test_python_runtime.py:{line} in ask_a_library)"
    )


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
    with pytest.raises(RunFailed, match=r"SystemExit: 3 \(tests/unit/.* in leave\)"):
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
