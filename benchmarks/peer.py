"""Any server at a URL, under the load that the services are under.

    uv run python -m benchmarks.peer URL [--token TOKEN] [--quick] [FILE ...]

A line of a file is a method, a path and perhaps a body, with tabs between them. Without files, it
sends the requests of `hooks bench`. Stops at an answer that is not a 2xx.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.comparison import FULL, QUICK, Effort
from benchmarks.endpoints import ENDPOINTS, Request
from benchmarks.load import require_wrk, send
from benchmarks.servers import BenchError, other_cores


@dataclass(frozen=True)
class PeerRow:
    """Medians over the rounds."""

    name: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float


def measure_peer(url: str, token: str, files: Sequence[Path], effort: Effort) -> Iterator[PeerRow]:
    """Send the requests of each file, or those of `hooks bench` when there is none."""
    with other_cores():
        for name in [file.stem for file in files] or ENDPOINTS:
            rounds = []
            for number in range(effort.rounds + 1):
                requests = requests_named(name, files, number)
                rounds.append(send(url, requests, token, effort.seconds if number else 1))
            del rounds[0]  # the warm-up
            yield PeerRow(
                name,
                median(each["requests"] / each["seconds"] for each in rounds),
                median(each["p50_ms"] for each in rounds),
                median(each["p99_ms"] for each in rounds),
            )


def requests_named(name: str, files: Sequence[Path], number: int) -> Iterable[Request]:
    for file in files:
        if file.stem == name:
            return read_requests(file)
    return ENDPOINTS[name](number)


def read_requests(file: Path) -> Iterator[Request]:
    """Read a method, a path and perhaps a body from each line, with tabs between them."""
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        method, _, rest = line.partition("\t")
        path, _, body = rest.partition("\t")
        if not path.startswith("/"):
            raise BenchError(f"{file}, line {number}: expected METHOD, tab, /path, tab, body")
        yield method, path, body


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peer")
    parser.add_argument("url")
    parser.add_argument("--token", default="", help="the bearer token of each request")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    effort = QUICK if arguments.quick else FULL
    try:
        require_wrk()
        for row in measure_peer(arguments.url, arguments.token, arguments.files, effort):
            print(f"{row.name:12} {row.requests_per_second:9,.0f} req/s", end="")
            print(f" {row.p50_ms:9.1f} ms p50 {row.p99_ms:9.1f} ms p99", flush=True)
    except (BenchError, OSError) as error:
        parser.exit(1, f"{error}\n")
