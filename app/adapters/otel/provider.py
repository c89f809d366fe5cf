"""The SDK, set up for one service; everything that is traced is made here."""

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from app.adapters.otel import names
from app.adapters.otel.event_log import TracedEventLog
from app.adapters.otel.export import QuietExporter
from app.adapters.otel.telemetry import Exporters
from app.adapters.otel.tracing import OtelTracing
from app.adapters.otel.views import TracedViewStore
from app.domain.model.messages import Message
from app.ports.event_log import EventLog
from app.ports.status_store import ViewStore

if TYPE_CHECKING:
    from fastapi import FastAPI

_QUEUE = 16_384
"""Spans that may wait for export; the SDK's 2,048 are a burst of 300 tasks."""
_PATIENCE = 3.0


class Telemetry:
    """Tracing that is switched on, for one service of this process.

    It is not registered as OpenTelemetry's global provider: client libraries that find one make
    spans of their own there, which would double ours and may carry prompts.
    """

    def __init__(self, provider: TracerProvider, exporters: tuple[SpanExporter, ...] = ()) -> None:
        self.provider = provider
        self._exporters = exporters
        version = provider.resource.attributes.get(SERVICE_VERSION)
        self._tracer = provider.get_tracer(names.SCOPE, str(version or ""), names.SCHEMA_URL)

    @classmethod
    def start(
        cls, name: str, version: str, wanted: Exporters, instance_id: str | None = None
    ) -> "Telemetry":
        provider = TracerProvider(
            resource=_resource(name, version, instance_id), shutdown_on_exit=False
        )
        exporters: list[SpanExporter] = []
        if wanted.otlp is not None:
            exporters.append(QuietExporter(OTLPSpanExporter(), wanted.otlp))
        if wanted.console:  # standard error, so that a command's output stays its own
            exporters.append(ConsoleSpanExporter(out=sys.stderr))
        queue = None if "OTEL_BSP_MAX_QUEUE_SIZE" in os.environ else _QUEUE
        for exporter in exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=queue))
        return cls(provider, tuple(exporters))

    def tracing(self, group: str | None = None) -> OtelTracing:
        """For the worker; `group` is its consumer group."""
        return OtelTracing(self._tracer, group)

    def event_log(self, inner: EventLog, destination: Callable[[Message], str]) -> TracedEventLog:
        """For whoever publishes; `destination` names the topic of a message."""
        return TracedEventLog(inner, self._tracer, destination)

    def views(
        self, inner: ViewStore, destination: Callable[[Message], str], group: str | None = None
    ) -> TracedViewStore:
        """For the projector."""
        return TracedViewStore(inner, self._tracer, destination, group)

    def instrument(self, app: "FastAPI") -> None:
        """For the gateway; call it once, before the app serves its first request."""
        from app.adapters.otel.http import instrument  # noqa: PLC0415  workers serve no HTTP

        instrument(app, self.provider)

    def shutdown(self, patience: float = _PATIENCE) -> None:
        """Deliver what is waiting, for at most `patience` seconds. Blocks; call it in a thread."""
        flushing = threading.Thread(target=self.provider.shutdown, daemon=True)
        flushing.start()
        flushing.join(patience)
        if flushing.is_alive():
            for exporter in self._exporters:
                exporter.shutdown()  # wakes it from waiting for a next try


def _resource(name: str, version: str, instance_id: str | None) -> Resource:
    ours = {SERVICE_NAME: name, SERVICE_VERSION: version}
    if instance_id is not None:
        ours[SERVICE_INSTANCE_ID] = instance_id
    told = OTELResourceDetector().detect().attributes
    return Resource.create({key: value for key, value in ours.items() if key not in told})
