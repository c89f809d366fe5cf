"""What this installation is called in traces and metrics."""

from pydantic import Field

from app.entrypoints.settings.group import Group


class TelemetrySettings(Group):
    """Traces and metrics. Where they go is said by the standard `OTEL_` variables."""

    service_name: str = Field(
        "crewline", min_length=1, description="`service.name` of this installation."
    )
