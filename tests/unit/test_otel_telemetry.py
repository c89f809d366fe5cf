"""When tracing is on, and what it costs when it is not."""

import subprocess
import sys
import textwrap

import pytest
import urllib3.util.connection  # noqa: F401  it opens a socket when it is loaded
from opentelemetry.trace import get_tracer_provider

from app.adapters.otel.telemetry import (
    Exporters,
    TelemetryMisconfigured,
    start_telemetry,
    wanted,
)

COLLECTOR = "http://collector:4318"
OTLP = Exporters(otlp=COLLECTOR, console=False)


@pytest.mark.parametrize(
    ("environ", "exporters"),
    [
        ({}, None),
        ({"OTEL_SERVICE_NAME": "x"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}, OTLP),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": COLLECTOR}, OTLP),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, Exporters("http://localhost:4318", console=False)),
        ({"OTEL_TRACES_EXPORTER": "console"}, Exporters(None, console=True)),
        (
            {"OTEL_TRACES_EXPORTER": "otlp, console", "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR},
            Exporters(COLLECTOR, console=True),
        ),
        (
            {"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR},
            Exporters(None, console=True),
        ),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}, None),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}, None),
        ({"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}, OTLP),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            OTLP,
        ),
    ],
)
def test_the_standard_variables_decide(
    environ: dict[str, str], exporters: Exporters | None
) -> None:
    assert wanted(environ) == exporters


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin is not supported; use otlp, console or none"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "grpc is not supported; use http/protobuf, on port 4318",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "collector:4318 is no http:// or"),
    ],
)
def test_what_we_cannot_do_is_said_at_the_start(environ: dict[str, str], said: str) -> None:
    with pytest.raises(TelemetryMisconfigured, match=said):
        start_telemetry("crewline-test", "1.0", environ)


def test_a_finer_variable_that_is_wrong_is_said_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "7")
    with pytest.raises(TelemetryMisconfigured, match="an OTEL_ variable is wrong: max_export"):
        start_telemetry("crewline-test", "1.0", {"OTEL_TRACES_EXPORTER": "otlp"})


def test_on_leaves_the_global_provider_alone() -> None:
    before = get_tracer_provider()
    telemetry = start_telemetry("crewline-test", "1.0", {"OTEL_TRACES_EXPORTER": "console"})
    assert telemetry is not None
    assert get_tracer_provider() is before
    telemetry.shutdown()


@pytest.mark.parametrize(
    "environ",
    [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": COLLECTOR}],
)
def test_off_loads_nothing_of_opentelemetry(environ: dict[str, str]) -> None:
    program = f"""
        import sys
        from app.adapters.memory.tracing import NullTracing
        from app.adapters.otel.telemetry import start_telemetry
        assert start_telemetry("crewline-test", "1.0", {environ!r}) is None
        NullTracing()
        print([name for name in sys.modules if name.startswith("opentelemetry")])
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.strip() == "[]"
