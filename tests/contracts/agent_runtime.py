"""What every AgentRuntime must do; each adapter's test class subclasses this."""

import asyncio
from typing import ClassVar

import pytest
from pydantic import JsonValue

from app.domain.model.agents import AgentSpec
from app.domain.model.commands import Input
from app.domain.model.errors import InvalidAgent, RunFailed
from app.domain.model.events import Result
from app.domain.model.ids import AgentName, RuntimeName, TaskId
from app.ports.agent_runtime import AgentRuntime, TaskInput
from tests.recording_context import RecordingContext


def task(given: Input = "two bikes", **parameters: JsonValue) -> TaskInput:
    return TaskInput(
        task_id=TaskId("0197b7a0-0000-7000-8000-000000000001"),
        input=given,
        parameters=parameters,
    )


def agent(runtime: str, **settings: JsonValue) -> AgentSpec:
    return AgentSpec(
        name=AgentName("tester"),
        description="An agent for tests.",
        role="Tester",
        goal="Answer.",
        instructions="Answer {{ input }}.",
        expected_output="An answer.",
        runtimes={RuntimeName(runtime): settings},
    )


class AgentRuntimeContract:
    tells_its_steps: ClassVar[bool] = True
    """Whether the runtime itself says what begins; a person's callable says it or does not."""

    @pytest.fixture
    def runtime(self) -> AgentRuntime:
        raise NotImplementedError("the subclass provides the runtime under test")

    @pytest.fixture
    def working(self) -> AgentSpec:
        """An agent whose run returns a result."""
        raise NotImplementedError("the subclass provides an agent that works")

    @pytest.fixture
    def failing(self) -> AgentSpec:
        """An agent that passes `check` and whose run fails."""
        raise NotImplementedError("the subclass provides an agent that fails")

    @pytest.fixture
    def endless(self) -> AgentSpec:
        """An agent whose run takes longer than any test waits."""
        raise NotImplementedError("the subclass provides an agent that does not end")

    @pytest.fixture
    def unusable(self) -> AgentSpec:
        """An agent this runtime cannot run."""
        raise NotImplementedError("the subclass provides an agent to refuse")

    @pytest.fixture
    def context(self) -> RecordingContext:
        return RecordingContext()

    async def test_a_run_returns_a_result(
        self, runtime: AgentRuntime, working: AgentSpec, context: RecordingContext
    ) -> None:
        runtime.check(working)
        async with asyncio.timeout(30):
            result = await runtime.run(working, task(), context)
        assert isinstance(result, Result)
        assert Result.model_validate_json(result.model_dump_json()) == result

    async def test_what_begins_ends_once(
        self, runtime: AgentRuntime, working: AgentSpec, context: RecordingContext
    ) -> None:
        async with asyncio.timeout(30):
            await runtime.run(working, task(), context)
        assert bool(context.activities) is self.tells_its_steps
        assert context.unpaired() == []
        assert [each.error for each in context.activities.values() if each.error] == []

    async def test_a_failure_is_a_run_failed_with_a_code(
        self, runtime: AgentRuntime, failing: AgentSpec, context: RecordingContext
    ) -> None:
        runtime.check(failing)
        with pytest.raises(RunFailed) as failure:
            async with asyncio.timeout(30):
                await runtime.run(failing, task(), context)
        assert failure.value.failure_code
        assert failure.value.message

    async def test_after_a_failure_everything_has_ended_and_something_says_why(
        self, runtime: AgentRuntime, failing: AgentSpec, context: RecordingContext
    ) -> None:
        with pytest.raises(RunFailed):
            async with asyncio.timeout(30):
                await runtime.run(failing, task(), context)
        assert context.unpaired() == []
        told = any(each.error for each in context.activities.values())
        assert told is self.tells_its_steps

    async def test_cancelling_stops_the_run_and_ends_what_began(
        self, runtime: AgentRuntime, endless: AgentSpec, context: RecordingContext
    ) -> None:
        running = asyncio.create_task(runtime.run(endless, task(), context))
        if self.tells_its_steps:
            async with asyncio.timeout(30):
                await context.something_began.wait()
        await asyncio.sleep(0.05)
        assert not running.done()
        context.cancel()
        running.cancel()
        async with asyncio.timeout(20):
            with pytest.raises(asyncio.CancelledError):
                await running
        assert context.unpaired() == []

    async def test_an_endless_run_leaves_the_event_loop_free(
        self, runtime: AgentRuntime, endless: AgentSpec, context: RecordingContext
    ) -> None:
        running = asyncio.create_task(runtime.run(endless, task(), context))
        async with asyncio.timeout(20):
            for _ in range(20):
                await asyncio.sleep(0.005)
        context.cancel()
        running.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait([running])

    def test_an_agent_it_cannot_run_is_refused_in_one_line(
        self, runtime: AgentRuntime, unusable: AgentSpec
    ) -> None:
        with pytest.raises(InvalidAgent) as refused:
            runtime.check(unusable)
        assert "\n" not in refused.value.message

    def test_an_agent_without_a_section_for_it_is_refused(self, runtime: AgentRuntime) -> None:
        with pytest.raises(InvalidAgent, match=runtime.name):
            runtime.check(agent("another-runtime"))
