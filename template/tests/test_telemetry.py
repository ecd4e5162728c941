"""Telemetry, as it arrives at a collector from `app serve` with two workers."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from app.cli import app
from app.database_url import DATABASE_URL_EXAMPLE
from app.error_codes import DUPLICATE
from app.otlp import read_dotenv
from app.telemetry import trace_statements
from tests import database
from tests.collector import Collector, attributes, collecting
from tests.samples import LAMP, PASSWORD, credentials
from tests.service import SECRET_KEY, WITH_COVERAGE, environment, running

# As the proxy, or another service, sends it.
TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"
# Longer than any test, for the SDK's delays and timeouts.
NEVER = str(10**9)
# In whatever a client sends as a value.
SECRET = "hunter2"
METRICS = {
    "http.server.request.duration",
    "http.server.active_requests",
    "db.client.connection.count",
    "db.client.connection.pending_requests",
    "db.client.connection.wait_time",
    "password_hashing.count",
}


@dataclass
class Observed:
    """What a service has left that was used, and then stopped."""

    collector: Collector
    log: list[dict[str, Any]]

    def trace(self, request_id: str) -> tuple[Span, list[Span]]:
        """Return the span of a request, and those of its statements."""
        spans = self.collector.spans
        ours = {"request_id": request_id}.items()
        [request] = [span for span in spans if ours <= attributes(span.attributes).items()]
        return request, [span for span in spans if span.parent_span_id == request.span_id]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    folder = tmp_path_factory.mktemp("service")
    # Spans arrive when the service stops, and not before.
    settings = {"OTEL_BSP_SCHEDULE_DELAY": NEVER, "OTEL_METRIC_EXPORT_INTERVAL": "100"}
    settings |= {"LOG_LEVEL": "INFO", **WITH_COVERAGE}
    with collecting() as collector, database.created() as url:
        dotenv = f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.url}\nOTEL_SERVICE_NAME=shop\n"
        (folder / ".env").write_text(dotenv)
        with running(
            "serve", folder=folder, WEB_CONCURRENCY="2", DATABASE_URL=url, **settings
        ) as service:
            email = f"{SECRET}@example.com"
            seller = service.sign_up(email)
            item = LAMP | {"name": SECRET, "sku": SECRET}
            item_id = seller.post("/items", json=item).raise_for_status().json()["id"]
            reading = {"X-Request-ID": "reading", "traceparent": TRACEPARENT}
            seller.get(f"/items/{item_id}", headers=reading).raise_for_status()
            failing = {"X-Request-ID": "failing"}
            assert seller.post("/items", json=item, headers=failing).status_code == 409
            seller.get("/items", params={"q": SECRET}).raise_for_status()
            seller.post("/auth/token", data=credentials(email)).raise_for_status()
            collector.wait_until(lambda: len(collector.workers()) == 2)
            collector.wait_until(lambda: collector.names() >= METRICS)
            log = [json.loads(line) for line in service.stop().splitlines()]
    return Observed(collector, log)


def test_a_trace_names_the_route_and_the_request(observed: Observed) -> None:
    request, _ = observed.trace("reading")

    assert request.name == "GET /api/v1/items/{item_id}"
    assert request.kind == Span.SPAN_KIND_SERVER
    assert attributes(request.attributes)["http.response.status_code"] == 200


def test_a_trace_continues_that_of_the_caller(observed: Observed) -> None:
    request, statements = observed.trace("reading")

    assert request.parent_span_id.hex() == PARENT_ID
    assert {span.trace_id.hex() for span in [request, *statements]} == {TRACE_ID}


def test_each_statement_is_a_span_of_its_request(observed: Observed) -> None:
    _, statements = observed.trace("reading")

    found = [attributes(span.attributes) for span in statements]
    [text] = [text["db.query.text"] for text in found if "FROM items" in str(text)]
    assert str(text).startswith("SELECT items.id, ")
    assert {(span.name, span.kind) for span in statements} == {("SELECT", Span.SPAN_KIND_CLIENT)}


def test_no_value_leaves_the_service(observed: Observed) -> None:
    sent = b"".join(observed.collector.bodies)

    assert b"INSERT INTO items" in sent
    assert SECRET.encode() not in sent
    assert PASSWORD.encode() not in sent


def test_a_failed_statement_says_why_without_its_values(observed: Observed) -> None:
    request, statements = observed.trace("failing")

    [failed] = [span for span in statements if span.status.code == Status.STATUS_CODE_ERROR]
    assert failed.name == "INSERT"
    assert attributes(failed.attributes)["error.type"] in DUPLICATE
    assert (failed.status.message, list(failed.events)) == ("", [])
    # Answering 409 is no failure of the service.
    assert request.status.code == Status.STATUS_CODE_UNSET


def test_log_lines_carry_the_trace(observed: Observed) -> None:
    request, _ = observed.trace("reading")

    [line] = [line for line in observed.log if line["request_id"] == "reading"]
    assert (line["trace_id"], line["span_id"]) == (TRACE_ID, request.span_id.hex())


def test_probes_leave_no_trace(observed: Observed) -> None:
    [probe, *_] = [line for line in observed.log if line.get("path") == "/health/live"]

    assert "trace_id" not in probe
    assert not [span for span in observed.collector.spans if "health" in span.name]


def test_each_worker_exports_under_the_name_of_the_service(observed: Observed) -> None:
    names = {resource["service.name"] for resource in observed.collector.resources}

    assert names == {"shop"}
    assert len(observed.collector.workers()) == 2


def test_requests_are_counted_by_their_route(observed: Observed) -> None:
    counted = {
        (point["http.request.method"], point["http.route"], point["http.response.status_code"])
        for name, point, _ in observed.collector.points
        if name == "http.server.request.duration"
    }

    assert ("GET", "/api/v1/items/{item_id}", 200) in counted
    assert ("POST", "/api/v1/items", 409) in counted


def test_the_pool_and_the_queue_are_measured(observed: Observed) -> None:
    points = observed.collector.points

    assert max(value for name, _, value in points if name == "db.client.connection.count") > 0
    # Each request that needs the database has waited once, even if for no time.
    assert max(value for name, _, value in points if name == "db.client.connection.wait_time") > 2


@contextmanager
def stopped() -> Iterator[int]:
    """Give a port on which nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed.getsockname()[1]


@contextmanager
def hanging() -> Iterator[int]:
    """Give a port that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("collector", [stopped, hanging])
def test_a_missing_collector_costs_no_request(
    collector: Callable[[], AbstractContextManager[int]], folder: Path
) -> None:
    settings = {"OTEL_BSP_SCHEDULE_DELAY": "1", "OTEL_BSP_MAX_QUEUE_SIZE": "4"}
    settings |= {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2", "OTEL_EXPORTER_OTLP_TIMEOUT": NEVER}
    with collector() as port, database.created() as url:
        settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
        with running("serve", folder=folder, DATABASE_URL=url, **settings) as service:
            seller = service.sign_up()
            for _ in range(20):
                seller.post("/items", json=LAMP).raise_for_status()

            service.stop()  # raises unless it ends


def test_without_a_collector_nothing_is_imported(url: str) -> None:
    script = "import sys, app.asgi; sys.exit('opentelemetry.sdk' in sys.modules)"

    subprocess.run([sys.executable, "-c", script], env=environment(DATABASE_URL=url), check=True)


def serve(endpoint: str) -> str:
    """Return what `app serve` says instead of serving."""
    settings = {"DATABASE_URL": DATABASE_URL_EXAMPLE, "SECRET_KEY": SECRET_KEY}
    settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    result = CliRunner().invoke(app, ["serve", "--port", "0"], env=settings)
    assert result.exit_code == 1
    return result.output


@pytest.mark.parametrize("endpoint", ["localhost:4318", "http://", "grpc://localhost:4317"])
def test_an_endpoint_that_is_no_url_is_one_line(endpoint: str) -> None:
    assert serve(endpoint) == (
        "OTEL_EXPORTER_OTLP_ENDPOINT: must be the URL of a collector, such as "
        "http://localhost:4318\n"
    )


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry.exporter")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "app.otlp")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)  # as if not installed

    said = serve("http://localhost:4318")

    assert said.startswith("OTEL_EXPORTER_OTLP_ENDPOINT: ")
    assert said.endswith("; try `uv sync --extra telemetry`\n")
    assert said.count("\n") == 1


def test_settings_are_not_taken_from_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath(".env").write_text("SOMEBODYS_SETTING=1\n")
    monkeypatch.chdir(tmp_path)

    read_dotenv()

    assert "SOMEBODYS_SETTING" not in os.environ


def test_a_statement_outside_of_a_trace_is_executed() -> None:
    engine = create_engine("sqlite://")
    trace_statements(engine)

    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()
