"""How fast services are, beside an application by hand, the limit, and a plain one."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from hooks.databases import Databases
from hooks.load import (
    API,
    BENCHMARKS,
    ENDPOINTS,
    ROWS,
    BenchError,
    Load,
    Server,
    cores,
    fill,
    get_requests,
    list_requests,
    log_in,
    new_database,
    page_behind,
    put_under_load,
    serving_application,
    serving_variant,
    settings,
)
from hooks.render import render
from hooks.service import UV, Service
from hooks.variants import ROOT, Variant, variants

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How often each server gets its turn at an endpoint, and for how long."""

    rounds: int
    seconds: int


FULL = Effort(rounds=3, seconds=2)
QUICK = Effort(rounds=2, seconds=1)


def install(variant: Variant, folder: Path, template: Path) -> Service:
    render(variant.answers, folder, template)
    service = Service(folder)
    # As in the service's Dockerfile. A process that compiles keeps 7 MiB more.
    service.run("sync", "--compile-bytecode")
    return service


# The comparison ------------------------------------------------------------------------


def expect_same_answers(servers: Sequence[Server]) -> None:
    """Raise BenchError unless all servers answer the requests that read with the same bytes."""
    for method, path, _ in (*list(get_requests(0))[:3], *list(list_requests(0))[:3]):
        answers = {
            server.name: httpx.request(method, server.url + path, trust_env=False).content
            for server in servers
        }
        if len(set(answers.values())) > 1:
            raise BenchError(f"{method} {path} is not answered by all with the same: {answers}")


def count_statements(
    service: Service, module: str, token: str, database_url: str, run: int
) -> dict[str, int]:
    """How many statements each endpoint takes. A run changes what the one before has left."""
    requests = {
        name: [
            *next(make(run)),
            {"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        ]
        for name, make in ENDPOINTS.items()
    }
    done = subprocess.run(
        [service.folder / ".venv" / "bin" / "python", BENCHMARKS / "statements.py", module],
        cwd=service.folder,
        env=service.environment()
        | settings(database_url)
        | {"PYTHONPATH": str(BENCHMARKS / "apps")},
        input=json.dumps(requests),
        check=True,
        capture_output=True,
        text=True,
    )
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


@dataclass(frozen=True)
class Row:
    """One endpoint of one server: the medians of all rounds, and the ratios within a round.

    Memory is that of the process, before the first request and after the last one.
    """

    variant: str
    endpoint: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    ratio_to_limit: float
    ratio_to_plain: float | None
    cpu_us_per_request: float
    rss_mib: float
    idle_rss_mib: float
    statements: int | None


def compare(
    chosen: Sequence[Variant],
    effort: Effort,
    template: Path = ROOT,
    on_step: OnStep = lambda _step: None,
) -> list[Row]:
    """Measure variants of one database, each endpoint of all of them in turn, round by round."""
    database = chosen[0].answers["database"]
    # The limit is async, and takes its driver and its server from the environment of a variant.
    asynchronous = [
        variant
        for variant in variants(template)
        if (variant.answers["concurrency"], variant.answers["database"]) == ("async", database)
    ]
    host = next((variant for variant in chosen if variant in asynchronous), asynchronous[0])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")))
        services = {}
        for variant in chosen if host in chosen else [host, *chosen]:
            on_step(f"{variant.name}: install")
            services[variant.name] = install(variant, folder / variant.name, template)
        services[host.name].run("pip", "install", "--quiet", "--python", ".venv", "orjson")

        stack.enter_context(cores())
        databases = stack.enter_context(Databases())
        database_url = new_database(databases, services[host.name], host)

        on_step(f"{database}: start")
        limit = f"limit-{database}"
        servers = {
            limit: stack.enter_context(
                serving_application(limit, f"limit_{database}", services[host.name], database_url)
            )
        }
        plain_of: dict[str, str] = {}
        for variant in chosen:
            service = services[variant.name]
            servers[variant.name] = stack.enter_context(
                serving_variant(variant, service, database_url)
            )
            concurrency = variant.answers["concurrency"]
            plain = plain_of[variant.name] = f"plain-{concurrency}-{database}"
            if plain not in servers:
                servers[plain] = stack.enter_context(
                    serving_application(plain, f"plain_{concurrency}", service, database_url)
                )
        idle = {name: server.rss_mib() for name, server in servers.items()}
        user_id, token = log_in(servers[chosen[0].name].url)
        fill(databases, database_url, user_id, ROWS)
        expect_same_answers([servers[limit], *(servers[variant.name] for variant in chosen)])
        modules = {variant.name: "app.asgi" for variant in chosen} | {
            plain: plain.removesuffix(f"-{database}").replace("-", "_")
            for plain in plain_of.values()
        }
        environments = {plain_of[variant.name]: services[variant.name] for variant in chosen}
        statements = {
            name: count_statements(
                (services | environments)[name], module, token, database_url, run
            )
            for run, (name, module) in enumerate(modules.items())
        }

        loads: dict[tuple[str, str], list[Load]] = defaultdict(list)
        for number in range(effort.rounds + 1):
            for endpoint, make in ENDPOINTS.items():
                # There and back, so that nobody always comes after the same one.
                names = list(servers)[:: 1 if number % 2 else -1]
                for name in names:
                    on_step(f"{name}: {endpoint}, round {number} of {effort.rounds}")
                    seconds = effort.seconds if number else 1
                    load = put_under_load(servers[name], make(number), token, seconds)
                    if number:  # the one before the first warms up
                        loads[name, endpoint].append(load)

    def row(name: str, endpoint: str) -> Row:
        own = loads[name, endpoint]
        plain = plain_of.get(name)
        return Row(
            variant=name,
            endpoint=endpoint,
            requests_per_second=median(load.requests_per_second for load in own),
            p50_ms=median(load.p50_ms for load in own),
            p99_ms=median(load.p99_ms for load in own),
            ratio_to_limit=ratio(own, loads[limit, endpoint]),
            ratio_to_plain=ratio(own, loads[plain, endpoint]) if plain else None,
            cpu_us_per_request=median(load.cpu_us_per_request for load in own),
            rss_mib=own[-1].rss_mib,
            idle_rss_mib=idle[name],
            statements=statements.get(name, {}).get(endpoint),
        )

    return [row(name, endpoint) for name in servers for endpoint in ENDPOINTS]


def ratio(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """The median of the ratios within each round, in which the machine was the same."""
    pairs = zip(loads, others, strict=True)
    return median(one.requests_per_second / other.requests_per_second for one, other in pairs)


# Growth --------------------------------------------------------------------------------

SIZES = (1_000, 100_000, 1_000_000)
SMALL_SIZES = (1_000, 100_000)


@dataclass(frozen=True)
class Growth:
    """The median time of one page of 20, asked for by one client, in a table of some size."""

    variant: str
    rows: int
    first_page_ms: float
    page_at_90_percent_ms: float


def grow(
    variant: Variant,
    effort: Effort,
    template: Path = ROOT,
    on_step: OnStep = lambda _step: None,
) -> list[Growth]:
    """Measure pages of a list that grows: one server for each size, in turn, round by round."""
    sizes = SMALL_SIZES if effort is QUICK else SIZES
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")))
        service = install(variant, folder / variant.name, template)
        stack.enter_context(cores())
        databases = stack.enter_context(Databases())
        servers = {}
        tokens = {}
        for size in sizes:
            on_step(f"{variant.name}: insert {size:,} items")
            database_url = new_database(databases, service, variant)
            servers[size] = stack.enter_context(serving_variant(variant, service, database_url))
            user_id, tokens[size] = log_in(servers[size].url)
            fill(databases, database_url, user_id, size)

        times: dict[tuple[int, str], list[float]] = defaultdict(list)
        for number in range(effort.rounds + 1):
            for size in sizes:
                on_step(f"{variant.name}: {size:,} items, round {number} of {effort.rounds}")
                pages = {
                    "first": ("GET", f"{API}/items?limit=20", ""),
                    # The newest come first: a tenth of the items is behind this one.
                    "at 90 %": page_behind(size // 10),
                }
                for name, page in pages.items():
                    load = put_under_load(servers[size], iter([page]), tokens[size], 1, 1)
                    if number:
                        times[size, name].append(load.p50_ms)

    return [
        Growth(variant.name, size, median(times[size, "first"]), median(times[size, "at 90 %"]))
        for size in sizes
    ]


# Breakdown -----------------------------------------------------------------------------

# Where a sample belongs: the innermost frame decides that one of these packages has.
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
    """The share of each part in the time of a GET of one item, by samples of a loaded server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")))
        service = install(variant, folder / variant.name, template)
        stack.enter_context(cores())
        databases = stack.enter_context(Databases())
        database_url = new_database(databases, service, variant)
        server = stack.enter_context(serving_variant(variant, service, database_url))
        user_id, token = log_in(server.url)
        fill(databases, database_url, user_id, ROWS)
        put_under_load(server, get_requests(0), token, 1)

        on_step(f"{variant.name}: sample")
        seconds = effort.seconds * 2
        samples = folder / "samples.txt"
        command = [UV, "tool", "run", "--quiet", "py-spy", "record", "--full-filenames"]
        # Of the threads, only the one that Python runs: the others wait.
        command += ["--gil", "--format", "raw", "--output", str(samples), "--rate", "250"]
        command += ["--duration", str(seconds), "--pid", str(server.process.pid)]
        sampler = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        put_under_load(server, get_requests(0), token, seconds + 2)
        _, problem = sampler.communicate()
        if sampler.returncode != 0:
            raise BenchError(f"py-spy may not look into the server: {problem.decode().strip()}")
        return shares(samples.read_text("utf-8"))


def shares(samples: str) -> dict[str, float]:
    """Add up lines of py-spy: a stack, its frames parted by semicolons, and how often it was."""
    counts: dict[str, int] = defaultdict(int)
    for line in samples.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        counts[part_of(frames)] += int(count)
    total = sum(counts.values())
    return {part: counts[part] / total for part in sorted(counts, key=counts.__getitem__)[::-1]}


def part_of(frames: Sequence[str]) -> str:
    for frame in reversed(frames):
        for package, part in PARTS.items():
            if f"/{package}/" not in frame:
                continue
            if part != "validation":
                return part
            return "serialization" if "serialize" in ";".join(frames) else "validation"
    return "other"
