"""Decides whether anything is traced; when nothing is, none of OpenTelemetry is loaded."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from app.adapters.otel.provider import Telemetry

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class TelemetryMisconfigured(ValueError):
    """An `OTEL_` variable asks for what this program cannot do."""


class Exporters(NamedTuple):
    """Where spans go; the first is the collector's address, to name it in logs."""

    otlp: str | None
    console: bool


def wanted(environ: Mapping[str, str]) -> Exporters | None:
    """What the standard variables ask for; None where they ask for no traces.

    Raise `TelemetryMisconfigured` where they ask for an exporter or protocol we do not have: spans
    that silently go nowhere are found missing when they are needed.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    endpoint = next((environ[name] for name in _ENDPOINTS if environ.get(name)), None)
    asked = {name.strip().lower() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",")}
    asked.discard("")
    if unknown := asked - {"otlp", "console", "none"}:
        raise TelemetryMisconfigured(
            f"OTEL_TRACES_EXPORTER={','.join(sorted(unknown))} is not supported; "
            "use otlp, console or none"
        )
    if "none" in asked or not (asked or endpoint):
        return None
    if "otlp" not in asked and asked:
        return Exporters(otlp=None, console=True)
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise TelemetryMisconfigured(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol} is not supported; "
            "use http/protobuf, on port 4318 of most collectors"
        )
    address = endpoint or "http://localhost:4318"
    if not address.startswith(("http://", "https://")):
        raise TelemetryMisconfigured(
            f"OTEL_EXPORTER_OTLP_ENDPOINT={address} is no http:// or https:// address"
        )
    return Exporters(otlp=address, console="console" in asked)


def start_telemetry(
    service_name: str,
    service_version: str,
    environ: Mapping[str, str],
    instance_id: str | None = None,
) -> "Telemetry | None":
    """Start tracing where the environment asks for it, else return None and load nothing.

    `environ` is the process's own: the SDK reads the finer variables (headers, sampler, limits)
    from there. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go before the names given here.
    """
    exporters = wanted(environ)
    if exporters is None:
        return None
    from app.adapters.otel.provider import Telemetry  # noqa: PLC0415  off must cost nothing

    try:
        return Telemetry.start(service_name, service_version, exporters, instance_id)
    except ValueError as error:  # such as a queue smaller than a batch
        raise TelemetryMisconfigured(f"an OTEL_ variable is wrong: {error}") from error
