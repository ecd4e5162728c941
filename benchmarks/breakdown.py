"""Which packages spend the time of a GET, by samples of a server under load."""

import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.comparison import Effort
from benchmarks.data import fill, log_in, new_database
from benchmarks.endpoints import ITEMS, get_requests
from benchmarks.load import put_under_load
from benchmarks.servers import SERVE, BenchError, OnStep, install, other_cores, serving
from hooks.databases import Databases
from hooks.service import UV
from hooks.variants import ROOT, Variant

# The innermost frame that belongs to one of these packages decides about a sample.
PARTS = {
    "uvicorn": "server",
    "asyncio": "server",
    "starlette": "routing and dependencies",
    "fastapi": "routing and dependencies",
    "anyio": "routing and dependencies",
    "concurrent": "routing and dependencies",
    "sqlalchemy": "SQLAlchemy",
    "asyncpg": "driver",
    "psycopg": "driver",
    "aiosqlite": "driver",
    "pydantic": "validation",
    "app": "the service's own code",
}


def break_down(
    variant: Variant,
    effort: Effort,
    template: Path = ROOT,
    on_step: OnStep = lambda _step: None,
) -> dict[str, float]:
    """Return each part's share of the time. Raises BenchError when py-spy is not permitted."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")))
        service = install(variant, folder / variant.name, template)
        stack.enter_context(other_cores())
        databases = stack.enter_context(Databases())
        database_url = new_database(databases, service, variant)
        server = stack.enter_context(serving(variant.name, service, SERVE, database_url))
        user_id, token = log_in(server.url)
        fill(databases, database_url, user_id, ITEMS)
        put_under_load(server, get_requests(0), token, 1)

        on_step(f"{variant.name}: sample")
        seconds = effort.seconds * 2
        samples = folder / "samples.txt"
        sampler = start_sampler(server.process.pid, seconds, samples)
        put_under_load(server, get_requests(0), token, seconds + 2)
        _, problem = sampler.communicate()
        if sampler.returncode != 0:
            raise BenchError(f"py-spy cannot sample the server: {problem.decode().strip()}")
        return shares(samples.read_text("utf-8"))


def start_sampler(pid: int, seconds: int, samples: Path) -> subprocess.Popen[bytes]:
    command = [UV, "tool", "run", "--quiet", "py-spy", "record", "--full-filenames"]
    # Only the thread that holds the interpreter: the others wait.
    command += ["--gil", "--format", "raw", "--output", str(samples), "--rate", "250"]
    command += ["--duration", str(seconds), "--pid", str(pid)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def shares(samples: str) -> dict[str, float]:
    """Add up py-spy's lines: frames separated by semicolons, then the number of samples."""
    counts = Counter[str]()
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        counts[part_of(stack.split(";"))] += int(count)
    return {part: count / counts.total() for part, count in counts.most_common()}


def part_of(frames: Sequence[str]) -> str:
    for frame in reversed(frames):
        for package, part in PARTS.items():
            if f"/{package}/" not in frame:
                continue
            if part != "validation":
                return part
            return "serialization" if "serialize" in ";".join(frames) else "validation"
    return "other"
