"""Servers under load: what they are asked for, on which data, and what that costs them."""

import base64
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import monotonic, sleep

import httpx
import psutil

from hooks.check import SECRET_KEY, free_port
from hooks.databases import Databases
from hooks.service import Service, end, is_ready
from hooks.variants import ROOT, Variant

BENCHMARKS = ROOT / "benchmarks"
CONNECTIONS = 32
API = "/api/v1"


class BenchError(Exception):
    """The message says what is missing, or what answered wrongly."""


# Requests ------------------------------------------------------------------------------

ROWS = 10_000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
# Not whole seconds, which are written without their microseconds.
APART = timedelta(seconds=1, microseconds=1)

Request = tuple[str, str, str]
"""Method, path and body."""


def created_at(number: int) -> datetime:
    """The moment of the item with this number, which is its id."""
    return FIRST + number * APART


def cursor(number: int) -> str:
    """What asks for the items behind this one, the newest first."""
    moment = created_at(number).isoformat().replace("+00:00", "Z")
    packed = json.dumps(["-created_at", moment, number], separators=(",", ":"))
    return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")


def page_behind(number: int) -> Request:
    return ("GET", f"{API}/items?limit=20&cursor={cursor(number)}", "")


def get_requests(_run: int) -> Iterator[Request]:
    # 7919 is a prime: all of the items, and none beside the one before.
    return (("GET", f"{API}/items/{number * 7919 % ROWS + 1}", "") for number in range(ROWS))


def list_requests(_run: int) -> Iterator[Request]:
    return (page_behind(number * 7919 % ROWS + 1) for number in range(1000))


def create_requests(_run: int) -> Iterator[Request]:
    for number in range(1000):
        item = {"name": f"Lamp {number}", "description": "It shines.", "price": "12.50", "stock": 3}
        yield "POST", f"{API}/items", json.dumps(item)


def patch_requests(run: int) -> Iterator[Request]:
    # Twice, so that each request changes what the one before has left.
    for number in range(2 * ROWS):
        changes = {"price": f"{run % 1000 * 2 + number // ROWS}.25", "name": f"Item {number}"}
        yield "PATCH", f"{API}/items/{number * 7919 % ROWS + 1}", json.dumps(changes)


def order_requests(_run: int) -> Iterator[Request]:
    # Neighbours, so that no two of the requests at one time wait for the same item.
    for number in range(1, ROWS, 2):
        lines = [{"item_id": number, "quantity": 1}, {"item_id": number + 1, "quantity": 2}]
        yield "POST", f"{API}/orders", json.dumps({"lines": lines})


ENDPOINTS: dict[str, Callable[[int], Iterator[Request]]] = {
    "get": get_requests,
    "list": list_requests,
    "create": create_requests,
    "patch": patch_requests,
    "order": order_requests,
}


# Load ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """What a server did under load, and what it cost."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us_per_request: float
    rss_mib: float


def put_under_load(
    server: "Server",
    requests: Iterator[Request],
    token: str,
    seconds: int,
    connections: int = CONNECTIONS,
) -> Load:
    """Send requests for some seconds. Raises BenchError when one of the answers is not a 2xx."""
    # What clients before have left unanswered may still keep it busy.
    httpx.get(f"{server.url}{API}/items/1", timeout=60, trust_env=False).raise_for_status()
    with NamedTemporaryFile("w", suffix=".tsv") as file:
        file.writelines("\t".join(request) + "\n" for request in requests)
        file.flush()
        command = ["wrk", "--threads", "1", "--connections", str(connections)]
        command += ["--duration", f"{seconds}s", "--timeout", "30s"]
        command += ["--script", str(BENCHMARKS / "load.lua"), server.url, "--", file.name, token]
        cpu = server.cpu_seconds()
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        cpu = server.cpu_seconds() - cpu
    done = json.loads(output.splitlines()[-1])
    if done["not_2xx"] or done["broken"] or not done["requests"]:
        raise BenchError(f"{server.name} did not answer every request with a 2xx: {done}")
    return Load(
        requests_per_second=done["requests"] / done["seconds"],
        p50_ms=done["p50_ms"],
        p99_ms=done["p99_ms"],
        cpu_us_per_request=cpu / done["requests"] * 1e6,
        rss_mib=server.rss_mib(),
    )


def require_wrk() -> None:
    """Install wrk where apt can; raise BenchError where it cannot."""
    if shutil.which("wrk"):
        return
    if shutil.which("apt-get"):
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "wrk"]
        if os.geteuid() != 0:
            install.insert(0, "sudo")
        subprocess.run(install, check=False, stdout=subprocess.DEVNULL)
    if not shutil.which("wrk"):
        raise BenchError("wrk is missing, which sends the requests: install it (apt install wrk).")


# Servers -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    name: str
    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    def rss_mib(self) -> float:
        rss: int = self.process.memory_info().rss
        return rss / 2**20


CAN_PIN = hasattr(os, "sched_getaffinity") and shutil.which("taskset") is not None
SERVER_CORE = min(os.sched_getaffinity(0)) if CAN_PIN else 0


@contextmanager
def cores() -> Iterator[None]:
    """Leave the first core to the server under test: all else runs on another."""
    if not CAN_PIN:
        yield
        return
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(all_cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


@contextmanager
def serving(name: str, service: Service, *command: str, **settings: str) -> Iterator[Server]:
    """Run a command of the service's environment, a server with one worker, on the first core."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    pin = ["taskset", "--cpu-list", str(SERVER_CORE)] if CAN_PIN else []
    program = service.folder / ".venv" / "bin" / command[0]
    with NamedTemporaryFile() as output:
        process = subprocess.Popen(
            [*pin, program, *command[1:], "--port", str(port)],
            cwd=service.folder,
            env=service.environment() | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = monotonic() + 60
            while not is_ready(url):
                if process.poll() is not None or monotonic() > deadline:
                    log = Path(output.name).read_text("utf-8")
                    raise BenchError(f"{name} did not start:\n{log}")
                sleep(0.1)
            yield Server(name, url, psutil.Process(process.pid))
        finally:
            end(process)


def settings(database_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "SECRET_KEY": SECRET_KEY,
        "ACCESS_TOKEN_MINUTES": "1440",
        # Neither the limit nor the plain application writes a line for each request.
        "LOG_LEVEL": "WARNING",
    }


@contextmanager
def serving_variant(variant: Variant, service: Service, database_url: str) -> Iterator[Server]:
    with serving(variant.name, service, "app", "serve", **settings(database_url)) as server:
        yield server


@contextmanager
def serving_application(
    name: str, module: str, service: Service, database_url: str
) -> Iterator[Server]:
    """Serve a module of `benchmarks/apps` with the packages of a service."""
    command = ("uvicorn", f"{module}:app", "--app-dir", str(BENCHMARKS / "apps"))
    quiet = ("--no-access-log", "--log-level", "warning", "--no-server-header")
    with serving(name, service, *command, *quiet, **settings(database_url)) as server:
        yield server


# Data ----------------------------------------------------------------------------------


def new_database(databases: Databases, service: Service, variant: Variant) -> str:
    database_url = databases.new(variant)
    service.run("run", "alembic", "upgrade", "head", settings=settings(database_url))
    if variant.answers["database"] == "postgres":
        # It is the service that is measured, and not the disk below Postgres.
        databases.psql(database_url, "ALTER SYSTEM SET synchronous_commit = off")
        databases.psql(database_url, "SELECT pg_reload_conf()")
    return database_url


def log_in(base_url: str) -> tuple[int, str]:
    """Register somebody who sells all items; return their id and an access token."""
    email, password = "seller@example.com", "correct horse battery staple"
    with httpx.Client(base_url=base_url + API, trust_env=False) as client:
        user = {"email": email, "name": "Seller", "password": password}
        user_id = client.post("/users", json=user).raise_for_status().json()["id"]
        form = {"username": email, "password": password}
        token = client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
    return user_id, token


def fill(databases: Databases, database_url: str, owner_id: int, rows: int) -> None:
    """Insert items, of which `created_at` tells when each was created."""
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            moments = (
                created_at(number).replace(tzinfo=None).isoformat(" ", "microseconds")
                for number in range(1, rows + 1)
            )
            connection.executemany(
                "INSERT INTO items (id, owner_id, name, description, price, stock, version,"
                " created_at, updated_at) VALUES (?1, ?2, 'Item ' || ?1, 'A thing for sale',"
                " 1250, 1000000000, 1, ?3, ?3)",
                ((number, owner_id, at) for number, at in enumerate(moments, 1)),
            )
        connection.execute("ANALYZE")
        connection.close()
        return
    variables = {
        "owner": owner_id,
        "rows": rows,
        "first": FIRST.isoformat(),
        "apart": f"{APART.total_seconds():f} s",
    }
    script = "".join(f"\\set {name} '{value}'\n" for name, value in variables.items())
    databases.psql(database_url, script + FILL)


FILL = """
    INSERT INTO items
        (owner_id, name, description, price, stock, version, created_at, updated_at)
    SELECT :owner::bigint, 'Item ' || n, 'A thing for sale', 12.50, 1000000000, 1, at, at
    FROM generate_series(1, :rows) AS n,
         LATERAL (SELECT timestamptz :'first' + n * interval :'apart' AS at)
    ORDER BY n;
    VACUUM ANALYZE;
"""
