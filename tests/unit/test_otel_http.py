"""The spans of HTTP requests, and what people see of the trace."""

import pytest
import structlog

from app.adapters.otel.current import add_trace_ids, current_trace_id
from tests.builders import TRACEPARENT
from tests.otel_spans import Services
from tests.traced_platform import TracedPlatform

_, TRACE, SENDER, _ = TRACEPARENT.split("-")


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def platform(services: Services) -> TracedPlatform:
    return TracedPlatform(services.start("gateway"), None, None)


async def test_a_request_is_one_span_under_stable_names(
    services: Services, platform: TracedPlatform
) -> None:
    async with platform.client() as client:
        await client.get("/v1/tasks/42?verbose=1")
    (span,) = services.spans
    assert (span.name, span.kind) == ("GET /v1/tasks/{task_id}", "SERVER")
    assert span.attributes["http.route"] == "/v1/tasks/{task_id}"
    assert span.attributes["http.request.method"] == "GET"
    assert span.attributes["http.response.status_code"] == 404
    assert "http.method" not in span.attributes
    assert not span.error


async def test_a_callers_trace_is_continued(services: Services, platform: TracedPlatform) -> None:
    async with platform.client() as client:
        response = await client.post("/v1/tasks", headers={"traceparent": TRACEPARENT})
    span = services.one("POST /v1/tasks")
    assert (span.trace_id, span.parent_id) == (TRACE, SENDER)
    assert response.headers["traceresponse"] == span.traceparent


async def test_a_broken_traceparent_is_ignored(
    services: Services, platform: TracedPlatform
) -> None:
    async with platform.client() as client:
        response = await client.post("/v1/tasks", headers={"traceparent": "00-nonsense"})
    assert response.status_code == 202
    assert services.one("POST /v1/tasks").parent_id is None


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/metrics", "/health?full=1"])
async def test_probes_and_metrics_are_not_traced(
    services: Services, platform: TracedPlatform, path: str
) -> None:
    async with platform.client() as client:
        response = await client.get(path)
    assert services.spans == []
    assert "traceresponse" not in response.headers


async def test_a_resource_that_is_called_like_a_probe_is_traced(
    services: Services, platform: TracedPlatform
) -> None:
    async with platform.client() as client:
        await client.get("/v1/tasks/health")
    assert len(services.spans) == 1


async def test_a_crash_is_an_error_with_its_type(
    services: Services, platform: TracedPlatform
) -> None:
    async with platform.client() as client:
        with pytest.raises(RuntimeError):
            await client.get("/broken")
    span = services.one("GET /broken")
    assert span.error
    assert span.attributes["http.response.status_code"] == 500
    assert "exception" in span.events


def test_logs_and_problems_name_the_current_trace(services: Services) -> None:
    tracer = services.start()._tracer
    with tracer.start_as_current_span("work") as span:
        logged = add_trace_ids(None, "info", {"event": "done"})
        assert current_trace_id() == logged["trace_id"]
        assert logged["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert current_trace_id() is None
    assert add_trace_ids(None, "info", {"event": "done"}) == {"event": "done"}


def test_the_log_processor_fits_structlog(services: Services) -> None:
    telemetry = services.start()
    with (
        structlog.testing.capture_logs(processors=[add_trace_ids]) as logs,
        telemetry._tracer.start_as_current_span("work"),
    ):
        structlog.get_logger().info("done")
    assert logs[0]["trace_id"] == services.one("work").trace_id
