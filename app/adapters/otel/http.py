"""Spans of the gateway's HTTP requests."""

import os

from fastapi import FastAPI
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.propagators import (
    TraceResponsePropagator,
    set_global_response_propagator,
)
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.trace import TracerProvider

_OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
_QUIET = r"^\w+://[^/]+/(health|livez|readyz|metrics)/?(\?.*)?$"


def instrument(app: FastAPI, provider: TracerProvider) -> None:
    """One server span for each request, named by its route, and a `traceresponse` header.

    A caller's `traceparent` is continued; `OTEL_PROPAGATORS=none` makes the gateway ignore it.
    Probes and metrics are not traced. Metrics are not made here.
    """
    _choose_stable_names()
    if propagate.extract({}) is None:
        propagate.set_global_textmap(_NoPropagator())
    set_global_response_propagator(TraceResponsePropagator())  # type: ignore[no-untyped-call]
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=provider,
        meter_provider=NoOpMeterProvider(),
        excluded_urls=_QUIET,
        exclude_spans=["receive", "send"],
    )


class _NoPropagator(TextMapPropagator):
    """What `OTEL_PROPAGATORS=none` means; the SDK's own answer to it, None, fails each request."""

    def extract(
        self,
        carrier: CarrierT,  # noqa: ARG002  whatever it says
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,  # noqa: ARG002
    ) -> Context:
        return context or Context()

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        pass

    @property
    def fields(self) -> set[str]:
        return set()


def _choose_stable_names() -> None:
    """Ask for today's HTTP names; the instrumentation reads this variable once and nothing else."""
    chosen = [choice for choice in os.environ.get(_OPT_IN, "").split(",") if choice]
    if not {"http", "http/dup"} & set(chosen):
        os.environ[_OPT_IN] = ",".join([*chosen, "http"])
