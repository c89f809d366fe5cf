"""Logs and traces of one process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from app.adapters.memory.tracing import NullTracing
from app.adapters.otel.telemetry import TelemetryMisconfigured, start_telemetry
from app.entrypoints.bootstrap.broker import Broker
from app.entrypoints.logs import configure_logging
from app.entrypoints.settings import Settings, SettingsError
from app.ports.event_log import EventLog
from app.ports.status_store import ViewStore
from app.ports.tracing import Tracing

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.adapters.otel.provider import Telemetry

VERSION = version("crewline")


class Observed:
    """Puts spans around ports where traces were asked for, else hands them back as they are."""

    def __init__(self, telemetry: "Telemetry | None") -> None:
        self._telemetry = telemetry

    def log(self, log: EventLog, broker: Broker) -> EventLog:
        return self._telemetry.event_log(log, broker.topic_of) if self._telemetry else log

    def views(self, views: ViewStore, broker: Broker, group: str) -> ViewStore:
        return self._telemetry.views(views, broker.topic_of, group) if self._telemetry else views

    def tracing(self, group: str) -> Tracing:
        return self._telemetry.tracing(group) if self._telemetry else NullTracing()

    def instrument(self, app: "FastAPI") -> None:
        if self._telemetry:
            self._telemetry.instrument(app)

    def current_trace_id(self) -> str | None:
        if self._telemetry is None:
            return None
        from app.adapters.otel.current import current_trace_id  # noqa: PLC0415  off costs nothing

        return current_trace_id()


@contextmanager
def observing(settings: Settings, process: str, instance: str | None = None) -> Iterator[Observed]:
    """Configure logging, start tracing if the environment asks for it, and flush it at the end."""
    service = f"{settings.telemetry.service_name}-{process}"
    try:
        telemetry = start_telemetry(service, VERSION, os.environ, instance)
    except TelemetryMisconfigured as error:
        raise SettingsError([str(error)]) from error
    processors = []
    if telemetry:
        from app.adapters.otel.current import add_trace_ids  # noqa: PLC0415  off costs nothing

        processors.append(add_trace_ids)
    log = settings.logging
    configure_logging(log.level, log.format, levels=log.levels, extra_processors=processors)
    try:
        yield Observed(telemetry)
    finally:
        if telemetry:
            telemetry.shutdown()
