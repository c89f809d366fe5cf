"""The spans of a delivery and its run."""

import asyncio
from datetime import timedelta

import pytest

from app.adapters.otel.tracing import OtelTracing
from app.domain.model.errors import PayloadTooLarge, RunFailed
from app.ports.tracing import Tracing
from tests.builders import T0, TRACEPARENT, task_id
from tests.contracts.tracing import BROKEN, TOPIC, ObservedTracingContract, Shown, end, origin
from tests.otel_spans import Services, tree

T0_NS = int(T0.timestamp()) * 10**9
_, TRACE, SENDER, _ = TRACEPARENT.split("-")
KINDS = {
    "invoke_workflow": "workflow",
    "invoke_agent": "agent",
    "chat": "model",
    "execute_tool": "tool",
    "step": "step",
}


@pytest.fixture
def services() -> Services:
    return Services()


def deliver(services: Services, waited: timedelta, traceparent: str | None = TRACEPARENT) -> None:
    """Process, as `workers`, a record that was appended so long ago."""
    now = T0_NS + waited // timedelta(microseconds=1) * 1000
    tracing = OtelTracing(services.start()._tracer, "workers", now=lambda: now)
    with tracing.processing(origin(at=T0), traceparent, task_id(), 1):
        pass


class TestOtelTracing(ObservedTracingContract):
    services: Services

    @pytest.fixture
    def tracing(self, services: Services) -> Tracing:
        self.services = services
        return services.start("crewline-worker").tracing("workers")

    def shown(self, tracing: Tracing) -> list[list[Shown]]:
        spans = self.services.spans
        runs = [span for span in spans if span.kind == "CONSUMER"]
        names = {span.span_id: span.name.partition(" ")[2] for span in spans}
        return [
            [
                Shown(
                    KINDS[span.name.partition(" ")[0]],
                    span.name.partition(" ")[2],
                    None if span.parent_id == run.span_id else names[str(span.parent_id)],
                    str(span.attributes["error.type"]) if span.error else None,
                    (
                        int(str(span.attributes.get("gen_ai.usage.input_tokens", 0))),
                        int(str(span.attributes.get("gen_ai.usage.output_tokens", 0))),
                    ),
                )
                for span in spans
                if span.trace_id == run.trace_id
                and span is not run
                and not span.name.startswith("queued")
            ]
            for run in runs
        ]


def test_a_delivery_continues_the_trace_of_its_message(services: Services) -> None:
    deliver(services, timedelta(seconds=2))
    span = services.one(f"process {TOPIC}")
    assert (span.trace_id, span.parent_id, span.links) == (TRACE, SENDER, (SENDER,))
    assert span.kind == "CONSUMER"
    assert not span.error
    assert span.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": TOPIC,
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 7,
        "messaging.kafka.message.key": "t-1",
        "messaging.consumer.group.name": "workers",
        "crewline.task.id": task_id(),
        "crewline.attempt": 1,
        "crewline.queue.wait_ms": 2000.0,
    }


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_traceparent_makes_a_trace_of_its_own_and_no_noise(
    services: Services, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    deliver(services, timedelta(seconds=2), broken)
    process = services.one(f"process {TOPIC}")
    assert (process.parent_id, process.links, caplog.records) == (None, (), [])


def test_waiting_is_a_bar_of_its_own_beside_the_work(services: Services) -> None:
    deliver(services, timedelta(seconds=2))
    queued, process = services.spans
    assert queued.name == f"queued {TOPIC}"
    assert (queued.trace_id, queued.parent_id) == (TRACE, SENDER)
    assert queued.start == T0_NS
    assert queued.end == process.start == T0_NS + 2 * 10**9


def test_a_message_that_came_without_a_trace_is_one_trace_with_its_wait(services: Services) -> None:
    deliver(services, timedelta(seconds=2), None)
    process = services.one(f"process {TOPIC}")
    queued = services.one(f"queued {TOPIC}")
    assert process.parent_id is None
    assert (queued.trace_id, queued.parent_id) == (process.trace_id, process.span_id)


def test_what_happens_to_be_current_is_nobodys_parent(services: Services) -> None:
    telemetry = services.start()
    with (
        telemetry._tracer.start_as_current_span("something else"),
        telemetry.tracing().processing(origin(), None, task_id(), 1) as run,
        telemetry._tracer.start_as_current_span("of a library"),
    ):
        run.begin("a", "agent", "analyst", None, None)
        end(run, "a")
    process = services.one(f"process {TOPIC}")
    assert process.parent_id is None
    assert services.one("invoke_agent analyst").parent_id == process.span_id
    assert services.one("of a library").parent_id == process.span_id


def test_an_old_message_gets_a_trace_of_its_own_that_links_back(services: Services) -> None:
    deliver(services, timedelta(hours=2))
    (process,) = services.spans  # no bar of two hours, in which nothing else could be seen
    assert process.parent_id is None
    assert process.trace_id != TRACE
    assert process.links == (SENDER,)
    assert process.attributes["crewline.queue.wait_ms"] == 7_200_000.0


def test_a_record_from_the_future_has_waited_for_no_time(services: Services) -> None:
    deliver(services, timedelta(seconds=-5))
    queued, process = services.spans
    assert queued.start == queued.end == process.start
    assert process.attributes["crewline.queue.wait_ms"] == 0.0


def test_attempts_are_siblings_and_only_the_first_was_queued(services: Services) -> None:
    tracing = services.start().tracing()
    with (
        pytest.raises(RuntimeError),
        tracing.processing(origin(), TRACEPARENT, task_id(), 1),
    ):
        raise RuntimeError("boom")
    with tracing.processing(origin(), TRACEPARENT, task_id(), 2):
        pass
    assert [(span.name.split()[0], span.parent_id) for span in services.spans] == [
        ("queued", SENDER),
        ("process", SENDER),
        ("process", SENDER),
    ]
    first, second = services.named(f"process {TOPIC}")
    assert (first.error, second.error) == (True, False)
    assert second.attributes["crewline.attempt"] == 2


@pytest.mark.parametrize(
    ("error", "kind", "events"),
    [
        (RuntimeError("boom"), "RuntimeError", ("exception",)),
        (PayloadTooLarge("2 MB"), "payload-too-large", ()),
        (RunFailed("model-unavailable", "later", retryable=True), "model-unavailable", ()),
        (asyncio.CancelledError(), "canceled", ()),
    ],
)
def test_an_exception_is_named_on_the_span(
    services: Services, error: BaseException, kind: str, events: tuple[str, ...]
) -> None:
    with (
        pytest.raises(type(error)),
        services.start().tracing().processing(origin(), None, None, 1),
    ):
        raise error
    span = services.one(f"process {TOPIC}")
    assert (span.error, span.attributes["error.type"], span.events) == (True, kind, events)


def test_activities_carry_the_names_of_the_genai_conventions(services: Services) -> None:
    with services.start().tracing().processing(origin(), TRACEPARENT, task_id(), 1) as run:
        run.begin("w", "workflow", "research", None, None)
        run.begin("a", "agent", "analyst", "w", None)
        run.begin("m", "model", "gemini-3", "a", "google_genai")
        end(run, "m", tokens=(900, 120), finish_reason="stop")
        run.begin("t", "tool", "search", "a", None)
        end(run, "t", error="it timed out: 5 s")
        end(run, "a")
        end(run, "w")
    told = {"crewline.task.id": task_id(), "crewline.attempt": 1}
    assert services.one("invoke_workflow research").attributes == {
        **told,
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "research",
    }
    assert services.one("invoke_agent analyst").attributes == {
        **told,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "analyst",
    }
    chat = services.one("chat gemini-3")
    assert chat.kind == "CLIENT"
    assert chat.attributes == {
        **told,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-3",
        "gen_ai.agent.name": "analyst",
        "gen_ai.usage.input_tokens": 900,
        "gen_ai.usage.output_tokens": 120,
        "gen_ai.response.finish_reasons": ("stop",),
    }
    tool = services.one("execute_tool search")
    assert tool.kind == "INTERNAL"
    assert tool.attributes == {
        **told,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.agent.name": "analyst",
        "error.type": "_OTHER",  # a sentence is nothing to count by
    }


def test_a_canceled_run_ends_its_activities_inside_its_span(services: Services) -> None:
    def run_until_canceled() -> None:
        with services.start().tracing().processing(origin(), None, task_id(), 1) as run:
            run.begin("a", "agent", "analyst", None, None)
            run.begin("m", "model", "gpt-4o", "a", "openai")
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_until_canceled()
    process = services.one(f"process {TOPIC}")
    agent, chat = services.one("invoke_agent analyst"), services.one("chat gpt-4o")
    assert chat.end <= agent.end <= process.end
    assert [span.attributes["error.type"] for span in (process, agent, chat)] == ["canceled"] * 3


def test_a_trace_its_sender_did_not_sample_is_not_sampled_here(services: Services) -> None:
    unsampled = TRACEPARENT[:-2] + "00"
    with services.start().tracing().processing(origin(), unsampled, task_id(), 1) as run:
        run.begin("a", "agent", "analyst", None, None)
        end(run, "a")
    assert services.spans == []


def test_the_outline_of_a_run_reads_like_the_run(services: Services) -> None:
    with services.start().tracing().processing(origin(), TRACEPARENT, task_id(), 1) as run:
        run.begin("w", "workflow", "research", None, None)
        run.begin("a", "agent", "analyst", "w", None)
        run.begin("m", "model", "gpt-4o", "a", "openai")
        end(run, "m")
        end(run, "a")
        end(run, "w")
    assert tree(services.spans).splitlines() == [
        f"queued {TOPIC}",
        f"process {TOPIC}",
        "  invoke_workflow research",
        "    invoke_agent analyst",
        "      chat gpt-4o",
    ]
