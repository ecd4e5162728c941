"""A collector of OpenTelemetry: it takes traces and metrics by OTLP over HTTP, and keeps them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = dict[str, str | int]
Point = tuple[str, Attributes, int | float]  # name, attributes, value or number of values


class Collector(ThreadingHTTPServer):
    """What has arrived: the bodies as they were sent, and what they say."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.arrived = Condition()
        self.bodies: list[bytes] = []
        self.spans: list[Span] = []
        self.points: list[Point] = []
        self.resources: list[Attributes] = []

    def take(self, path: str, body: bytes) -> None:
        with self.arrived:
            self.bodies.append(body)
            if path == "/v1/traces":
                self.take_traces(ExportTraceServiceRequest.FromString(body))
            elif path == "/v1/metrics":
                self.take_metrics(ExportMetricsServiceRequest.FromString(body))
            self.arrived.notify_all()

    def take_traces(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            self.resources.append(attributes(resource.resource.attributes))
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            self.resources.append(attributes(resource.resource.attributes))
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in metric.sum.data_points:
                    self.points.append((metric.name, attributes(point.attributes), point.as_int))
                for values in metric.histogram.data_points:
                    self.points.append((metric.name, attributes(values.attributes), values.count))

    def workers(self) -> set[str | int]:
        """Return the ids of the processes that have exported."""
        return {resource["service.instance.id"] for resource in self.resources}

    def names(self) -> set[str]:
        """Return the names of the metrics."""
        return {name for name, _, _ in self.points}

    def wait_until(self, is_there: Callable[[], Any]) -> None:
        """Wait for something to arrive. Raises TimeoutError after half a minute."""
        with self.arrived:
            if not self.arrived.wait_for(is_there, timeout=30):
                raise TimeoutError(f"did not arrive; there are {len(self.spans)} spans")


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Write nothing to stderr."""


def attributes(pairs: Any) -> Attributes:
    def value(pair: KeyValue) -> str | int:
        found: str | int = getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        return found

    return {pair.key: value(pair) for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector while the block runs."""
    with Collector() as collector:
        thread = Thread(target=collector.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()
