"""A collector for tests: takes spans over OTLP/HTTP on this machine and decodes them."""

import gzip
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.otel_spans import SeenSpan


class OtlpSink:
    """Keeps every span that arrives."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        self.schema_urls: set[str] = set()
        self.resources: list[dict[str, object]] = []
        self._spans: list[SeenSpan] = []
        self._arrived = threading.Condition()

    @property
    def spans(self) -> list[SeenSpan]:
        """What has arrived so far, by beginning."""
        with self._arrived:
            return sorted(self._spans, key=lambda span: span.start)

    def wait_for(self, name: str, seconds: float = 10) -> SeenSpan:
        """The first span of that name, once it is there."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while not (found := [span for span in self._spans if span.name == name]):
                left = deadline - time.monotonic()
                if left <= 0:
                    arrived = [span.name for span in self._spans]
                    raise AssertionError(f"no span {name!r} in {seconds} s, only {arrived}")
                self._arrived.wait(left)
            return found[0]

    def take(self, request: ExportTraceServiceRequest) -> None:
        with self._arrived:
            for resource_spans in request.resource_spans:
                resource = _attributes(resource_spans.resource.attributes)
                self.resources.append(resource)
                for scope_spans in resource_spans.scope_spans:
                    self.schema_urls.add(scope_spans.schema_url)
                    service = str(resource["service.name"])
                    self._spans.extend(_seen(span, service) for span in scope_spans.spans)
            self._arrived.notify_all()


@contextmanager
def otlp_sink(port: int = 0) -> Iterator[OtlpSink]:
    """A sink that listens while the context is open, on a free port unless one is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sink.take(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    sink = OtlpSink(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _seen(span: Span, service: str) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        error=span.status.code == Status.STATUS_CODE_ERROR,
        flags=span.flags & 0xFF,
        events=tuple(event.name for event in span.events),
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=_attributes(span.attributes),
    )


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, object]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    which = value.WhichOneof("value")
    if which == "array_value":
        return tuple(_value(each) for each in value.array_value.values)
    return getattr(value, which) if which else None
