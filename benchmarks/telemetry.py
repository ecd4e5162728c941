"""What telemetry costs: processor time per request, in ratios to a service that exports nothing.

The collector takes everything, on another core.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread

from benchmarks.comparison import Effort, take_turns
from benchmarks.data import fill, log_in, new_database
from benchmarks.endpoints import ENDPOINTS, ITEMS
from benchmarks.load import Load
from benchmarks.servers import SERVE, OnStep, install, other_cores, serving
from hooks.databases import Databases
from hooks.service import NONE
from hooks.variants import Variant

TENTH = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
EXPORTED = {
    "metrics": {"OTEL_TRACES_SAMPLER": "always_off"},
    "metrics, a tenth of the traces": TENTH,
    "metrics, all traces": {},
}


class Handler(BaseHTTPRequestHandler):
    """Reads what is sent, and answers that it was taken."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def collecting() -> Iterator[str]:
    """Run a collector, and yield its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as collector:
        Thread(target=collector.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{collector.server_port}"
        collector.shutdown()


def measure_telemetry(
    variant: Variant, effort: Effort, template: Path, on_step: OnStep
) -> dict[str, dict[str, float]]:
    """Return the processor time per request of each server, by endpoint, in ratios."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")))
        service = install(variant, folder / "service", template)
        stack.enter_context(other_cores())
        exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": stack.enter_context(collecting())}
        databases = stack.enter_context(Databases())
        url = new_database(databases, service, variant)
        settings = {"off": NONE, **{name: exporting | more for name, more in EXPORTED.items()}}
        servers = {
            name: stack.enter_context(serving(name, service, SERVE, url, more))
            for name, more in settings.items()
        }
        user_id, token = log_in(servers["off"].url)
        fill(databases, url, user_id, ITEMS)
        loads = take_turns(servers, token, effort, on_step)
    return {
        name: {made: ratio(loads[name, made], loads["off", made]) for made in ENDPOINTS}
        for name in EXPORTED
    }


def ratio(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """Return the median ratio within a round."""
    pairs = zip(loads, others, strict=True)
    return median(one.cpu_us_per_request / other.cpu_us_per_request for one, other in pairs)
