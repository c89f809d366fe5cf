"""Spans on their way to a collector that is there, and to one that is not."""

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

import pytest

from tests.builders import TRACEPARENT
from tests.otel_spans import tree
from tests.otlp_sink import OtlpSink, otlp_sink
from tests.traced_platform import COMMANDS, RESULTS

JOURNEY = """
    import asyncio, os
    from app.adapters.otel.telemetry import start_telemetry
    from tests.traced_platform import TracedPlatform

    async def main() -> None:
        names = ("crewline-gateway", "crewline-worker", "crewline-projector")
        telemetries = [start_telemetry(name, "1.2.3", os.environ) for name in names]
        platform = TracedPlatform(*telemetries)
        async with platform.client() as client:
            await client.post("/v1/tasks")
        await platform.run_worker()
        await platform.project()
        for telemetry in telemetries:
            await asyncio.to_thread(telemetry.shutdown)

    asyncio.run(main())
"""
UNREACHABLE = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    with otlp_sink() as listening:
        yield listening


def run(program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=clean | environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_a_task_arrives_at_the_collector_as_one_trace_of_three_services(sink: OtlpSink) -> None:
    run(JOURNEY, OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint)
    assert tree(sink.spans, lambda span: f"{span.name} [{span.service}]").splitlines() == [
        "POST /v1/tasks [crewline-gateway]",
        f"  send {COMMANDS} [crewline-gateway]",
        f"    queued {COMMANDS} [crewline-worker]",
        f"    process {COMMANDS} [crewline-worker]",
        f"      send {RESULTS} [crewline-worker]",
        f"        process {RESULTS} [crewline-projector]",
        "      invoke_workflow research [crewline-worker]",
        "        invoke_agent business-analyst [crewline-worker]",
        "          chat gpt-4o [crewline-worker]",
        "          execute_tool search [crewline-worker]",
        f"      send {RESULTS} [crewline-worker]",
        f"        process {RESULTS} [crewline-projector]",
        f"    process {COMMANDS} [crewline-projector]",
    ]
    chat = sink.wait_for("chat gpt-4o")
    assert chat.kind == "CLIENT"
    assert chat.attributes["gen_ai.usage.input_tokens"] == 900
    assert chat.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert "https://opentelemetry.io/schemas/1.44.0" in sink.schema_urls
    worker = next(r for r in sink.resources if r["service.name"] == "crewline-worker")
    assert worker["service.version"] == "1.2.3"
    assert worker["service.instance.id"]


def test_the_environment_names_the_service_and_may_compress(sink: OtlpSink) -> None:
    run(
        JOURNEY,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{sink.endpoint}/v1/traces",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_SERVICE_NAME="mine",
        OTEL_RESOURCE_ATTRIBUTES="service.version=9,deployment.environment.name=lab",
    )
    assert {span.service for span in sink.spans} == {"mine"}
    assert {r["service.version"] for r in sink.resources} == {"9"}
    assert {r["deployment.environment.name"] for r in sink.resources} == {"lab"}


@pytest.mark.parametrize(("propagators", "continued"), [("tracecontext", True), ("none", False)])
def test_a_gateway_at_the_edge_can_ignore_its_callers_traces(
    sink: OtlpSink, propagators: str, continued: bool
) -> None:
    program = JOURNEY.replace(
        'client.post("/v1/tasks")',
        f'client.post("/v1/tasks", headers={{"traceparent": "{TRACEPARENT}"}})',
    )
    run(program, OTEL_EXPORTER_OTLP_ENDPOINT=sink.endpoint, OTEL_PROPAGATORS=propagators)
    assert (sink.spans[0].trace_id in TRACEPARENT) is continued
    assert len({span.trace_id for span in sink.spans}) == 1


def test_the_console_shows_spans_beside_a_commands_own_output() -> None:
    ran = run(JOURNEY, OTEL_TRACES_EXPORTER="console")
    assert '"name": "chat gpt-4o"' in ran.stderr
    assert ran.stdout == ""


BUSY = """
    import logging, os, sys, time
    from app.adapters.otel.telemetry import start_telemetry
    from tests.builders import task_id
    from tests.contracts.tracing import end, origin

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    telemetry = start_telemetry("crewline-worker", "1.2.3", os.environ)
    tracing = telemetry.tracing("workers")
    took, until = [], time.monotonic() + 3
    while time.monotonic() < until:
        began = time.perf_counter()
        with tracing.processing(origin(), None, task_id(), 1) as run:
            run.begin("a", "agent", "analyst", None, None)
            end(run, "a")
        took.append(time.perf_counter() - began)
        time.sleep(0.002)
    began = time.perf_counter()
    telemetry.shutdown()
    print(sorted(took)[-2], time.perf_counter() - began)  # one may be the machine's own
"""


@pytest.mark.parametrize("hang", [False, True], ids=["refuses", "hangs"])
def test_a_collector_that_is_away_slows_and_says_next_to_nothing(hang: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, never answers
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}" if hang else UNREACHABLE
        began = time.monotonic()
        ran = run(BUSY, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="200")
        lasted = time.monotonic() - began
    slowest, shutdown = map(float, ran.stdout.split())
    assert slowest < 0.5, ran.stdout
    assert shutdown < 5
    assert lasted < 20
    warnings = ran.stderr.strip().splitlines()
    assert len(warnings) <= 1, ran.stderr
    assert all(line.startswith("WARNING spans cannot be delivered") for line in warnings)


def test_spans_are_lost_quietly_and_delivered_when_the_collector_is_back() -> None:
    program = """
        import logging, os, sys, time
        from app.adapters.otel.telemetry import start_telemetry
        from tests.contracts.tracing import origin
        from tests.otlp_sink import otlp_sink

        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
        telemetry = start_telemetry("crewline-worker", "1.2.3", os.environ)

        def work() -> None:
            with telemetry.tracing().processing(origin(), None, None, 1):
                pass
            telemetry.provider.force_flush()

        work(), work()
        with otlp_sink(port=int(os.environ["SINK_PORT"])) as sink:
            work(), work()
            print(len(sink.spans))
        telemetry.shutdown()
    """
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    ran = run(
        program,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        SINK_PORT=str(port),
    )
    assert ran.stdout.strip() == "4"
    assert ran.stderr.strip().splitlines() == [
        "spans cannot be delivered; tasks go on without them",
        "spans are delivered again",
    ]
