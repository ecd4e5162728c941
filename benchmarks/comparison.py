"""Services beside two other applications: the limit, written by hand, and a plain one."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import httpx

from benchmarks.data import fill, log_in, new_database
from benchmarks.endpoints import ENDPOINTS, ITEMS, get_requests, list_requests
from benchmarks.load import Load, put_under_load
from benchmarks.servers import (
    APPS,
    SERVE,
    BenchError,
    OnStep,
    Server,
    application,
    install,
    other_cores,
    serving,
    settings,
)
from hooks.databases import Databases
from hooks.service import Service
from hooks.variants import ROOT, Variant, variants


@dataclass(frozen=True)
class Effort:
    """How many turns each server gets at each endpoint, and how long a turn takes."""

    rounds: int
    seconds: int


FULL = Effort(rounds=3, seconds=2)
QUICK = Effort(rounds=2, seconds=1)


@dataclass(frozen=True)
class Entry:
    """What is compared: the limit, a variant or a plain application."""

    name: str
    service: Service  # whose packages it runs with
    command: tuple[str, ...]
    module: str = ""  # the application whose statements are counted
    plain: str | None = None  # the name of the entry that it is compared with

    def serving(self, database_url: str) -> AbstractContextManager[Server]:
        return serving(self.name, self.service, self.command, database_url)


@dataclass(frozen=True)
class Row:
    """One endpoint of one server: medians over the rounds, and of the ratios within a round.

    Memory is that of the process before the first and after the last request.
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


@dataclass(frozen=True)
class Measurements:
    """What was measured of each server, by its name."""

    limit: str
    loads: Mapping[tuple[str, str], Sequence[Load]]
    statements: Mapping[str, Mapping[str, int]]
    idle_mib: Mapping[str, float]

    def row(self, entry: Entry, endpoint: str) -> Row:
        own = self.loads[entry.name, endpoint]
        plain = self.loads[entry.plain, endpoint] if entry.plain else None
        return Row(
            variant=entry.name,
            endpoint=endpoint,
            requests_per_second=median(load.requests_per_second for load in own),
            p50_ms=median(load.p50_ms for load in own),
            p99_ms=median(load.p99_ms for load in own),
            ratio_to_limit=ratio(own, self.loads[self.limit, endpoint]),
            ratio_to_plain=ratio(own, plain) if plain else None,
            cpu_us_per_request=median(load.cpu_us_per_request for load in own),
            rss_mib=own[-1].rss_mib,
            idle_rss_mib=self.idle_mib[entry.name],
            statements=self.statements.get(entry.name, {}).get(endpoint),
        )


def compare(
    chosen: Sequence[Variant],
    effort: Effort,
    template: Path = ROOT,
    on_step: OnStep = lambda _step: None,
) -> list[Row]:
    """Measure variants of one database. Raises BenchError for an answer that is not expected."""
    host = host_of_the_limit(chosen, template)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hooks-bench-")))
        services = {}
        for variant in chosen if host in chosen else [host, *chosen]:
            on_step(f"{variant.name}: install")
            services[variant.name] = install(variant, folder / variant.name, template)
        # The limit serializes with it.
        services[host.name].run("pip", "install", "--quiet", "--python", ".venv", "orjson")
        limit, *others = entries = entries_of(chosen, services, host)

        stack.enter_context(other_cores())
        databases = stack.enter_context(Databases())
        database_url = new_database(databases, services[host.name], host)
        on_step(f"{host.answers['database']}: start")
        servers = {
            entry.name: stack.enter_context(entry.serving(database_url)) for entry in entries
        }
        idle = {name: server.rss_mib() for name, server in servers.items()}
        user_id, token = log_in(servers[chosen[0].name].url)
        fill(databases, database_url, user_id, ITEMS)
        expect_same_answers([servers[name] for name in (limit.name, *(v.name for v in chosen))])
        statements = {
            entry.name: count_statements(entry, token, database_url, run)
            for run, entry in enumerate(others)
        }
        loads = take_turns(servers, token, effort, on_step)
    measured = Measurements(limit.name, loads, statements, idle)
    return [measured.row(entry, endpoint) for entry in entries for endpoint in ENDPOINTS]


def host_of_the_limit(chosen: Sequence[Variant], template: Path) -> Variant:
    """Return a variant whose packages the limit runs with: async, on the same database."""
    database = chosen[0].answers["database"]
    fitting = [
        variant
        for variant in variants(template)
        if (variant.answers["concurrency"], variant.answers["database"]) == ("async", database)
    ]
    return next((variant for variant in chosen if variant in fitting), fitting[0])


def entries_of(
    chosen: Sequence[Variant], services: Mapping[str, Service], host: Variant
) -> list[Entry]:
    """Return the limit, then each variant; a plain application follows its first variant."""
    database = host.answers["database"]
    limit = f"limit_{database}"
    entries = {
        limit: Entry(limit.replace("_", "-"), services[host.name], application(limit)),
    }
    for variant in chosen:
        service = services[variant.name]
        module = f"plain_{variant.answers['concurrency']}"
        plain = f"{module.replace('_', '-')}-{database}"
        entries[variant.name] = Entry(variant.name, service, SERVE, "app.asgi", plain)
        entries.setdefault(plain, Entry(plain, service, application(module), module))
    return list(entries.values())


def expect_same_answers(servers: Sequence[Server]) -> None:
    """Raise BenchError unless all servers answer the reading requests with the same bytes."""
    for method, path, _ in (*list(get_requests(0))[:3], *list(list_requests(0))[:3]):
        answers = {
            server.name: httpx.request(method, server.url + path, trust_env=False).content
            for server in servers
        }
        if len(set(answers.values())) > 1:
            raise BenchError(f"The answers to {method} {path} differ: {answers}")


def count_statements(entry: Entry, token: str, database_url: str, run: int) -> dict[str, int]:
    """Return how many statements each endpoint takes. Each run makes changes of its own."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    requests = {name: [*next(make(run)), headers] for name, make in ENDPOINTS.items()}
    done = subprocess.run(
        [entry.service.folder / ".venv" / "bin" / "python", APPS / "statements.py", entry.module],
        cwd=entry.service.folder,
        env=entry.service.environment({"PYTHONPATH": str(APPS), **settings(database_url)}),
        input=json.dumps(requests),
        check=True,
        capture_output=True,
        text=True,
    )
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


def take_turns(
    servers: Mapping[str, Server], token: str, effort: Effort, on_step: OnStep
) -> dict[tuple[str, str], list[Load]]:
    """Measure each endpoint of all servers in turn, round by round, after a round of warm-up."""
    loads: dict[tuple[str, str], list[Load]] = defaultdict(list)
    for number in range(effort.rounds + 1):
        # Reverse the order each time, so that no server always comes after the same one.
        names = list(servers)[:: 1 if number % 2 else -1]
        for endpoint, make in ENDPOINTS.items():
            for name in names:
                on_step(f"{name}: {endpoint}, round {number} of {effort.rounds}")
                seconds = effort.seconds if number else 1
                load = put_under_load(servers[name], make(number), token, seconds)
                if number:
                    loads[name, endpoint].append(load)
    return loads


def ratio(loads: Sequence[Load], others: Sequence[Load]) -> float:
    """Return the median ratio within a round, during which the machine was equally busy."""
    pairs = zip(loads, others, strict=True)
    return median(one.requests_per_second / other.requests_per_second for one, other in pairs)
