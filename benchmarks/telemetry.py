"""What telemetry costs: processor time per request, in ratios to a service that exports nothing.

    uv run python -m benchmarks.telemetry [--quick] [--before DIR] [VARIANT]

The collector takes everything, on another core. `--before` takes another tree of the template, such
as a worktree of a commit without telemetry, for what it costs a service that does not use it.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread

from benchmarks.comparison import FULL, QUICK, Effort, take_turns
from benchmarks.data import fill, log_in, new_database
from benchmarks.endpoints import ENDPOINTS, ITEMS
from benchmarks.load import Load, require_wrk
from benchmarks.servers import SERVE, install, other_cores, serving
from hooks.databases import Databases
from hooks.service import NONE, Service
from hooks.variants import ROOT, Variant, variants

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


def measure(variant: Variant, effort: Effort, before: Path | None) -> dict[str, dict[str, float]]:
    """Return the processor time per request of each server, by endpoint, in ratios."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")))
        service = install(variant, folder / "now", ROOT)
        services: dict[str, tuple[Service, Mapping[str, str]]] = {"off": (service, NONE)}
        if before:
            services["before"] = (install(variant, folder / "before", before), NONE)
        stack.enter_context(other_cores())
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": stack.enter_context(collecting())}
        services |= {name: (service, endpoint | more) for name, more in EXPORTED.items()}
        databases = stack.enter_context(Databases())
        url = new_database(databases, service, variant)
        servers = {
            name: stack.enter_context(serving(name, service, SERVE, url, more))
            for name, (service, more) in services.items()
        }
        user_id, token = log_in(servers["off"].url)
        fill(databases, url, user_id, ITEMS)
        loads = take_turns(servers, token, effort, lambda step: print(step, file=sys.stderr))
    return {
        name: {made: ratio(loads[name, made], loads["off", made]) for made in ENDPOINTS}
        for name in servers
    }


def ratio(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """Return the median ratio within a round."""
    pairs = zip(loads, others, strict=True)
    return median(one.cpu_us_per_request / other.cpu_us_per_request for one, other in pairs)


def main() -> None:
    names = {variant.name: variant for variant in variants()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variant", nargs="?", choices=names, default="async-postgres-repository")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--before", type=Path, help="another tree of the template")
    arguments = parser.parse_args()
    require_wrk()
    effort = QUICK if arguments.quick else FULL
    ratios = measure(names[arguments.variant], effort, arguments.before)
    print(f"{'':32}" + "".join(f"{endpoint:>8}" for endpoint in ENDPOINTS))
    for name, found in ratios.items():
        print(f"{name:32}" + "".join(f"{found[endpoint]:8.2f}" for endpoint in ENDPOINTS))


if __name__ == "__main__":
    main()
