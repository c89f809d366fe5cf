"""Runs in processes of their own: the port's contract, and what only a process can do."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from app.adapters.isolation.children import Children
from app.adapters.isolation.runtime import IsolatedRuntime
from app.adapters.local.result_spool import FileSpool
from app.adapters.python.runtime import PythonRuntime
from app.domain.model.agents import AgentSpec
from app.domain.model.errors import InvalidAgent, RunFailed
from app.domain.model.events import Result
from app.ports.agent_runtime import AgentRuntime
from app.ports.chat_model import ChatModels
from tests.contracts.agent_runtime import AgentRuntimeContract, agent, task
from tests.integration.own_time import own_time
from tests.recording_context import RecordingContext
from tests.waiting import until

AGENTS = "tests.integration.isolated_agents"
OTHERS = "tests.unit.test_python_runtime"


def python_runtime(_: ChatModels) -> AgentRuntime:
    return PythonRuntime()


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    children = Children([AGENTS, OTHERS])
    yield children
    await children.close()


@pytest.fixture
def runtime(children: Children) -> AgentRuntime:
    return IsolatedRuntime(PythonRuntime(), python_runtime, children)


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext()


def mine(name: str) -> AgentSpec:
    return agent("python", callable=f"{AGENTS}:{name}").model_copy(update={"isolation": "process"})


def others(name: str) -> AgentSpec:
    return agent("python", callable=f"{OTHERS}:{name}").model_copy(update={"isolation": "process"})


class TestIsolatedPython(AgentRuntimeContract):
    tells_its_steps = False

    @pytest.fixture
    def runtime(self, children: Children) -> AgentRuntime:
        return IsolatedRuntime(PythonRuntime(), python_runtime, children)

    @pytest.fixture
    def working(self) -> AgentSpec:
        return others("count_words")

    @pytest.fixture
    def failing(self) -> AgentSpec:
        return others("break_down")

    @pytest.fixture(params=["never_end", "work_until_canceled"])
    def endless(self, request: pytest.FixtureRequest) -> AgentSpec:
        return others(request.param)

    @pytest.fixture
    def unusable(self) -> AgentSpec:
        return others("nothing_of_that_name")


async def test_all_that_is_told_and_asked_reaches_the_runs_context(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    result = await runtime.run(mine("tell_everything"), task("two bikes"), context)
    assert isinstance(result.output, dict)
    assert result.output.pop("pid") != os.getpid()
    assert result.output == {
        "attempt": 1,
        "key": "task/pay",
        "canceled": False,
        "text": "two bikes",
    }
    assert context.reports == [("half way", 0.5)]
    assert context.logs == [("warning", "a line")]
    assert context.tokens == ["Hel", "lo"]
    crew, call = context.activities.values()
    assert (crew.kind, crew.name, crew.error) == ("workflow", "crew", "tired")
    assert (call.provider, call.input_tokens, call.output_tokens) == ("openai", 3, 2)
    assert context.unpaired() == []


async def test_an_agent_without_isolation_runs_in_the_worker(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    here = mine("tell_everything").model_copy(update={"isolation": "thread"})
    result = await runtime.run(here, task(), context)
    assert isinstance(result.output, dict)
    assert result.output["pid"] == os.getpid()


async def test_a_typed_failure_comes_back_as_it_was(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    with pytest.raises(RunFailed) as failure:
        await runtime.run(mine("find_it_busy"), task(), context)
    raised = failure.value
    assert (raised.failure_code, raised.message) == ("model-busy", "try later")
    assert (raised.failure_retryable, raised.retry_after) == (True, 3)


async def test_a_large_result_arrives_whole(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    result = await runtime.run(mine("answer_at_length"), task(), context)
    assert result == Result(output="x" * 5_000_000)


async def test_a_result_larger_than_the_worker_reads_is_kept_by_the_process_that_made_it(
    children: Children, context: RecordingContext, tmp_path: Path
) -> None:
    spool = FileSpool(tmp_path / "spool", 100_000_000)
    runtime = IsolatedRuntime(PythonRuntime(), python_runtime, children, spool=spool)
    with pytest.raises(RunFailed) as failure:
        await runtime.run(mine("answer_without_end"), task(), context)
    raised = failure.value
    assert (raised.failure_code, raised.failure_retryable) == ("payload-too-large", False)
    (kept,) = (tmp_path / "spool").iterdir()
    assert f"all of it is kept in {kept}; it begins: " in raised.message
    assert raised.message.endswith("yyy")
    assert len(raised.message) < 2_000
    assert Result.model_validate_json(kept.read_bytes()).output == "y" * 9_000_000

    runtime = IsolatedRuntime(PythonRuntime(), python_runtime, children)
    with pytest.raises(RunFailed, match="it is not kept"):
        await runtime.run(mine("answer_without_end"), task(), context)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crash", "was killed by SIGSEGV"),
        ("leave", "ended with the exit code 3"),
        ("be_killed", "was killed by SIGKILL"),
    ],
)
async def test_a_process_that_ends_by_itself_is_a_failure_worth_another_try(
    runtime: AgentRuntime, context: RecordingContext, name: str, words: str
) -> None:
    with pytest.raises(RunFailed) as failure:
        async with asyncio.timeout(20):
            await runtime.run(mine(name), task(), context)
    assert (failure.value.failure_code, failure.value.failure_retryable) == ("agent-crashed", True)
    assert words in failure.value.message
    assert context.unpaired() == []
    assert (await runtime.run(others("count_words"), task(), context)).output == {"words": 2}


async def test_an_agent_that_wants_to_exit_has_failed(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    with pytest.raises(RunFailed, match="SystemExit: 4"):
        await runtime.run(mine("raise_exit"), task(), context)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("leave_from_a_thread", "SystemExit: 5"),
        ("raise_what_is_no_exception", "GeneratorExit"),
        ("raise_half_a_character", "ValueError: half \N{REPLACEMENT CHARACTER}"),
        ("return_half_a_character", "the result is not JSON"),
    ],
)
async def test_whatever_an_agent_does_with_its_outcome_it_is_told_what_was_wrong(
    runtime: AgentRuntime, context: RecordingContext, name: str, message: str
) -> None:
    with pytest.raises(RunFailed, match=message) as failure:
        await runtime.run(mine(name), task(), context)
    assert failure.value.failure_code == "agent-error"


async def test_halves_of_characters_cross_as_the_sign_for_none(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    await runtime.run(mine("report_half_a_character"), task(), context)
    assert context.reports == [("half \N{REPLACEMENT CHARACTER}", None)]


async def test_a_run_that_cancels_itself_has_failed(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    with pytest.raises(RunFailed, match="canceled itself"):
        await runtime.run(mine("cancel_itself"), task(), context)


async def test_a_canceled_run_may_unwind(runtime: AgentRuntime, context: RecordingContext) -> None:
    _, own = await canceled_when_it_runs(runtime, mine("hang_in_a_tool"), context)
    assert own < 1
    assert context.reports[-1] == ("unwound", None)
    assert [each.error for each in context.activities.values()] == ["canceled"]


async def test_one_that_heeds_nothing_is_killed(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    took, own = await canceled_when_it_runs(runtime, mine("heed_nothing"), context)
    assert took > 1.9
    assert own < 3
    assert [each.error for each in context.activities.values()] == ["canceled"]


async def test_many_run_at_once(runtime: AgentRuntime) -> None:
    contexts = [RecordingContext() for _ in range(20)]
    runs = (runtime.run(others("count_words"), task(), each) for each in contexts)
    async with asyncio.timeout(30):
        results = await asyncio.gather(*runs)
    assert {str(each.output) for each in results} == {"{'words': 2}"}


async def test_when_the_server_of_children_is_killed_they_die_and_others_come(
    children: Children, runtime: AgentRuntime, context: RecordingContext
) -> None:
    running = asyncio.create_task(runtime.run(mine("heed_nothing"), task(), context))
    await until(lambda: bool(context.reports), within=20)
    assert children._server is not None
    children._server.process.kill()
    with pytest.raises(RunFailed) as failure:
        await asyncio.wait_for(running, 10)
    assert failure.value.failure_code == "agent-crashed"
    await until(lambda: not alive(int(context.reports[0][0])))
    assert (await runtime.run(others("count_words"), task(), context)).output == {"words": 2}


async def test_a_run_whose_server_ends_before_it_begins_may_run_again(
    children: Children, runtime: AgentRuntime, context: RecordingContext
) -> None:
    await children.warm_up()
    assert children._server is not None
    server = children._server.process
    server.send_signal(signal.SIGSTOP)
    running = asyncio.create_task(runtime.run(others("count_words"), task(), context))
    await until(lambda: bool(children._server and children._server.expected))
    server.kill()
    with pytest.raises(RunFailed) as failure:
        await asyncio.wait_for(running, 10)
    assert (failure.value.failure_code, failure.value.failure_retryable) == ("agent-crashed", True)
    assert (await runtime.run(others("count_words"), task(), context)).output == {"words": 2}


async def test_a_module_that_ends_the_server_is_said_at_start() -> None:
    children = Children([f"{AGENTS}:end_the_process"])
    served = [mine("crash")]
    runtime = IsolatedRuntime(PythonRuntime(), python_runtime, children, served=served)
    with pytest.raises(InvalidAgent, match="module"):
        await asyncio.wait_for(runtime.warm_up(), 60)
    await children.close()


async def test_a_module_that_exits_when_it_is_imported_leaves_the_others_alone() -> None:
    children = Children([f"{AGENTS}:exit_politely", OTHERS])
    runtime = IsolatedRuntime(PythonRuntime(), python_runtime, children)
    async with asyncio.timeout(60):
        await children.warm_up()
        result = await runtime.run(others("count_words"), task(), RecordingContext())
    assert result.output == {"words": 2}
    await children.close()


async def test_a_modules_own_signal_handlers_end_no_run() -> None:
    children = Children([AGENTS, OTHERS, f"{AGENTS}:handle_signals_by_itself"])
    runtime = IsolatedRuntime(PythonRuntime(), python_runtime, children)
    context = RecordingContext()
    await asyncio.wait_for(children.warm_up(), 60)
    running = asyncio.create_task(runtime.run(mine("hang_in_a_tool"), task(), context))
    await until(lambda: bool(context.reports), within=20)
    assert children._server is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # as systemd and others, to the whole group
        children._server.process.send_signal(number)
    assert (await runtime.run(others("count_words"), task(), context)).output == {"words": 2}
    assert not running.done()
    running.cancel()
    await asyncio.wait({running}, timeout=20)
    await children.close()


STARTING = """
import asyncio, signal
from tests.integration.test_isolation import *

signal.signal(signal.SIGINT, lambda *_: None)

async def main():
    children = Children([f"{AGENTS}:wait_for_a_word"])
    await children.warm_up()
    print("warm", flush=True)
    await children.close()

asyncio.run(main())
"""


@asynccontextmanager
async def starting(words: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A worker, and its server's process id, while that loads what waits for a word."""
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        STARTING,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "WORDS": str(words)},
    )
    try:
        await until((words / "loading").exists, within=60)
        yield worker, int((words / "loading").read_text())
    finally:
        with suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


async def test_ctrl_c_while_the_server_starts_is_for_the_worker(tmp_path: Path) -> None:
    async with starting(tmp_path) as (worker, server):
        assert os.getsid(server) != os.getsid(worker.pid)
        os.killpg(worker.pid, signal.SIGINT)  # what a terminal does
        os.kill(server, signal.SIGINT)
        (tmp_path / "go on").touch()
        assert worker.stdout is not None
        assert await asyncio.wait_for(worker.stdout.readline(), 30) == b"warm\n"
        assert await asyncio.wait_for(worker.wait(), 30) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
async def test_a_server_that_still_loads_ends_with_its_worker(tmp_path: Path) -> None:
    async with starting(tmp_path) as (worker, server):
        worker.kill()
        await until(lambda: not alive(server))


async def test_what_a_run_has_started_ends_with_it(
    runtime: AgentRuntime, context: RecordingContext
) -> None:
    left = await runtime.run(mine("leave_a_process_behind"), task(), context)
    await until(lambda: not alive(int(str(left.output))))
    running = asyncio.create_task(runtime.run(mine("wait_with_a_process"), task(), context))
    await until(lambda: bool(context.reports), within=20)
    running.cancel()
    await asyncio.wait({running}, timeout=20)
    await until(lambda: not alive(int(context.reports[0][0])))


WORKER = """
import asyncio
from tests.integration.test_isolation import *

class Said(RecordingContext):
    async def report(self, message, progress=None):
        print(message, flush=True)

runtime = IsolatedRuntime(PythonRuntime(), python_runtime, Children([AGENTS]))
asyncio.run(runtime.run(mine(sys.argv[1]), task(), Said()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills what holds its interpreter")
@pytest.mark.parametrize("name", ["heed_nothing", "wait_with_a_process"])
async def test_no_run_outlives_its_worker(name: str) -> None:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, name, stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None
    try:
        child = int(await asyncio.wait_for(worker.stdout.readline(), 60))
        assert alive(child)
    finally:
        worker.kill()
        await worker.wait()
    await until(lambda: not alive(child))


async def canceled_when_it_runs(
    runtime: AgentRuntime, spec: AgentSpec, context: RecordingContext
) -> tuple[float, float]:
    """How long it took until the run and its process were over, and how much of it was ours."""
    running = asyncio.create_task(runtime.run(spec, task(), context))
    await until(lambda: bool(context.reports), within=20)
    canceled_at = time.monotonic()
    async with own_time() as passed, asyncio.timeout(30):
        context.cancel()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    took = time.monotonic() - canceled_at
    assert not alive(int(context.reports[0][0]))
    assert context.unpaired() == []
    return took, passed()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("answer_beyond_all_bounds", "20,000,0"),
        ("log_beyond_all_bounds", "20,000,0"),
        ("shout", "4,294,967,295 bytes"),
    ],
)
async def test_what_a_child_sends_at_once_is_bounded(
    runtime: AgentRuntime, context: RecordingContext, name: str, said: str
) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(RunFailed, match=said) as raised:
            await runtime.run(mine(name), task(), context)
    assert "no more than 8,000,000 may be" in raised.value.message
    assert not raised.value.failure_retryable
    result = await runtime.run(mine("answer_at_length"), task(), context)
    assert len(str(result.output)) == 5_000_000
