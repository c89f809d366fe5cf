"""A task is one trace, from the request to the row in the views."""

import pytest

from app.domain.model.commands import SubmitTask
from app.domain.model.errors import RunFailed
from app.domain.model.events import Trace
from app.ports.event_log import LogUnavailable
from tests.builders import TRACEPARENT, submitted
from tests.otel_spans import SeenSpan, Services, tree
from tests.traced_platform import COMMANDS, RESULTS, TracedPlatform

_, TRACE, SENDER, _ = TRACEPARENT.split("-")


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def platform(services: Services) -> TracedPlatform:
    return TracedPlatform(
        services.start("gateway"), services.start("worker"), services.start("projector")
    )


def shown(span: SeenSpan) -> str:
    return f"{span.name} [{span.service}] {span.kind}{' ERROR' if span.error else ''}"


async def test_a_request_its_run_and_its_views_are_one_trace(
    services: Services, platform: TracedPlatform
) -> None:
    async with platform.client() as client:
        response = await client.post("/v1/tasks")
    await platform.run_worker()
    await platform.project()
    assert response.status_code == 202
    assert tree(services.spans, shown).splitlines() == [
        "POST /v1/tasks [gateway] SERVER",
        f"  send {COMMANDS} [gateway] PRODUCER",
        f"    queued {COMMANDS} [worker] INTERNAL",
        f"    process {COMMANDS} [worker] CONSUMER",
        f"      send {RESULTS} [worker] PRODUCER",
        f"        process {RESULTS} [projector] CONSUMER",
        "      invoke_workflow research [worker] INTERNAL",
        "        invoke_agent business-analyst [worker] INTERNAL",
        "          chat gpt-4o [worker] CLIENT",
        "          execute_tool search [worker] INTERNAL",
        f"      send {RESULTS} [worker] PRODUCER",
        f"        process {RESULTS} [projector] CONSUMER",
        f"    process {COMMANDS} [projector] CONSUMER",
    ]
    assert len({span.trace_id for span in services.spans}) == 1
    trace_id = services.one("POST /v1/tasks").trace_id
    assert response.headers["traceresponse"].split("-")[1] == trace_id
    assert {str(message.traceparent).split("-")[1] for message in platform.told()} == {trace_id}


async def test_the_delivery_says_how_its_task_ended(
    services: Services, platform: TracedPlatform
) -> None:
    await platform.log.publish(submitted(traceparent=TRACEPARENT))
    await platform.run_worker()
    told = services.one(f"process {COMMANDS}").attributes
    assert told["crewline.task.state"] == "completed"
    assert told["crewline.agent"] == "business-analyst"
    assert told["crewline.runtime"] == "rules"
    assert (told["crewline.usage.input_tokens"], told["crewline.usage.output_tokens"]) == (900, 120)


async def test_a_failed_task_is_an_error_of_its_delivery_and_of_nothing_above(
    services: Services, platform: TracedPlatform
) -> None:
    platform.runtime.failure = RunFailed("model-refused", "not like that", retryable=False)
    async with platform.client() as client:
        await client.post("/v1/tasks")
    await platform.run_worker()
    process = services.one(f"process {COMMANDS}")
    assert process.error
    assert process.attributes["error.type"] == "model-refused"
    assert process.attributes["crewline.task.state"] == "failed"
    assert services.one("chat gpt-4o").attributes["error.type"] == "canceled"
    assert not services.one("POST /v1/tasks").error
    assert not services.one(f"send {COMMANDS}").error


async def test_attempts_of_a_task_are_siblings(
    services: Services, platform: TracedPlatform
) -> None:
    async with platform.client() as client:
        await client.post("/v1/tasks")
    platform.runtime.failure = LogUnavailable("the broker is away")
    with pytest.raises(LogUnavailable):
        await platform.run_worker()
    platform.runtime.failure = None
    await platform.run_worker(attempt=2)
    first, second = services.named(f"process {COMMANDS}")
    assert first.parent_id == second.parent_id == services.one(f"send {COMMANDS}").span_id
    assert [span.attributes["crewline.attempt"] for span in (first, second)] == [1, 2]
    assert [span.attributes.get("error.type") for span in (first, second)] == [
        "log-unavailable",
        None,
    ]


async def test_a_direct_producers_trace_is_joined(
    services: Services, platform: TracedPlatform
) -> None:
    await platform.log.publish(submitted(traceparent=TRACEPARENT))
    await platform.run_worker()
    assert {span.trace_id for span in services.spans} == {TRACE}
    assert services.one(f"process {COMMANDS}").parent_id == SENDER


async def test_a_trace_event_travels_with_the_runs_context_and_without_a_span(
    services: Services, platform: TracedPlatform
) -> None:
    await platform.log.publish(submitted(traceparent=TRACEPARENT))
    await platform.run_worker()
    process = services.one(f"process {COMMANDS}")
    traces = platform.told(Trace)
    assert traces
    assert {trace.traceparent for trace in traces} == {process.traceparent}
    assert len(services.named(f"send {RESULTS}")) == 2  # started and completed


async def test_with_tracing_off_messages_carry_what_they_came_with() -> None:
    platform = TracedPlatform(None, None, None)
    await platform.log.publish(submitted(traceparent=TRACEPARENT))
    await platform.run_worker()
    await platform.project()
    (command,) = platform.told(SubmitTask)
    assert command.traceparent == TRACEPARENT
