"""What every Tracing must do, and what every one that can be looked at must show."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from app.domain.model.dead_letters import Origin
from app.ports.agent_runtime import ActivityId
from app.ports.tracing import RunTracer, Tracing
from tests.builders import TRACEPARENT, task_id

TOPIC = "crewline.commands.business-analyst"


BROKEN = ["", "nonsense", TRACEPARENT[:-3], f"00-{'0' * 32}-{'0' * 16}-01", "x" * 9_999]


def origin(offset: int = 7, key: bytes | None = b"t-1", at: datetime | None = None) -> Origin:
    """A record appended just now, unless told otherwise."""
    at = at or datetime.now(UTC)
    return Origin(topic=TOPIC, partition=3, offset=offset, timestamp=at, key=key)


def end(
    run: RunTracer,
    activity: ActivityId,
    *,
    error: str | None = None,
    tokens: tuple[int, int] = (0, 0),
    finish_reason: str | None = None,
) -> None:
    run.end(
        activity,
        error=error,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        finish_reason=finish_reason,
    )


class TracingContract:
    """Tracing never gets in the way of a task, whatever it is told."""

    @pytest.fixture
    def tracing(self) -> Tracing:
        raise NotImplementedError("the subclass provides the tracing under test")

    def test_an_exception_passes_through_unchanged(self, tracing: Tracing) -> None:
        error = RuntimeError("boom")
        with (
            pytest.raises(RuntimeError) as raised,
            tracing.processing(origin(), TRACEPARENT, task_id(), 1),
        ):
            raise error
        assert raised.value is error

    @pytest.mark.parametrize(
        "traceparent",
        [
            None,
            "",
            "nonsense",
            TRACEPARENT[:-3],
            "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
            "x" * 9999,
        ],
    )
    def test_a_missing_or_broken_traceparent_is_no_obstacle(
        self, tracing: Tracing, traceparent: str | None
    ) -> None:
        with tracing.processing(origin(), traceparent, task_id(), 1) as run:
            run.begin("a", "agent", "analyst", None, None)
            end(run, "a")

    def test_a_message_that_is_no_task_can_be_processed(self, tracing: Tracing) -> None:
        with tracing.processing(origin(key=None), None, None, 1):
            pass

    def test_activities_nobody_began_may_end(self, tracing: Tracing) -> None:
        with tracing.processing(origin(), None, task_id(), 1) as run:
            end(run, "never-begun")
            run.begin("a", "step", "think", "no-such-parent", None)
            end(run, "a")
            end(run, "a")

    def test_news_after_the_end_of_the_run_is_ignored(self, tracing: Tracing) -> None:
        with tracing.processing(origin(), None, task_id(), 1) as run:
            run.begin("a", "agent", "analyst", None, None)
        end(run, "a")
        run.begin("b", "agent", "analyst", None, None)
        end(run, "b")


@dataclass(frozen=True)
class Shown:
    """An activity as an observer sees it; its parent is named, None is the run itself."""

    kind: str
    name: str
    parent: str | None
    error: str | None = None
    tokens: tuple[int, int] = (0, 0)


class ObservedTracingContract(TracingContract):
    """What was told can be seen, run by run."""

    def shown(self, tracing: Tracing) -> list[list[Shown]]:
        """The activities of each run that is over, by their beginning."""
        raise NotImplementedError("the subclass looks into the tracing under test")

    def test_a_run_shows_its_activities_as_a_tree(self, tracing: Tracing) -> None:
        with tracing.processing(origin(), TRACEPARENT, task_id(), 1) as run:
            run.begin("w", "workflow", "research", None, None)
            run.begin("a", "agent", "analyst", "w", None)
            run.begin("m", "model", "gpt-4o", "a", "openai")
            end(run, "m", tokens=(900, 120), finish_reason="stop")
            run.begin("t", "tool", "search", "a", None)
            end(run, "t", error="timeout")
            end(run, "a")
            run.begin("s", "step", "review", "w", None)
            end(run, "s")
            end(run, "w")
        assert self.shown(tracing) == [
            [
                Shown("workflow", "research", None),
                Shown("agent", "analyst", "research"),
                Shown("model", "gpt-4o", "analyst", tokens=(900, 120)),
                Shown("tool", "search", "analyst", error="timeout"),
                Shown("step", "review", "research"),
            ]
        ]

    def test_a_child_may_begin_when_its_parent_is_over(self, tracing: Tracing) -> None:
        with tracing.processing(origin(), None, task_id(), 1) as run:
            run.begin("a", "agent", "analyst", None, None)
            end(run, "a")
            run.begin("s", "step", "review", "a", None)
            end(run, "s")
        assert self.shown(tracing)[0][1] == Shown("step", "review", "analyst")

    def test_what_is_unfinished_at_the_end_was_canceled(self, tracing: Tracing) -> None:
        with tracing.processing(origin(), None, task_id(), 1) as run:
            run.begin("a", "agent", "analyst", None, None)
            run.begin("m", "model", "gpt-4o", "a", "openai")
            end(run, "m")
        assert self.shown(tracing) == [
            [
                Shown("agent", "analyst", None, error="canceled"),
                Shown("model", "gpt-4o", "analyst"),
            ]
        ]

    def test_what_begins_after_the_end_of_the_run_is_not_shown(self, tracing: Tracing) -> None:
        with tracing.processing(origin(), None, task_id(), 1) as run:
            pass
        run.begin("a", "agent", "analyst", None, None)
        end(run, "a")
        assert self.shown(tracing) == [[]]

    async def test_runs_at_the_same_time_do_not_mix(self, tracing: Tracing) -> None:
        async def task(number: int) -> None:
            with tracing.processing(origin(number), None, task_id(str(number)), 1) as run:
                run.begin("a", "agent", f"agent-{number}", None, None)
                await asyncio.sleep(0)
                run.begin("m", "model", f"model-{number}", "a", None)
                await asyncio.sleep(0)
                end(run, "m")
                end(run, "a")

        await asyncio.gather(*(task(number) for number in range(20)))
        seen = sorted(self.shown(tracing), key=lambda run: int(run[0].name.split("-")[1]))
        assert seen == [
            [
                Shown("agent", f"agent-{number}", None),
                Shown("model", f"model-{number}", f"agent-{number}"),
            ]
            for number in range(20)
        ]
