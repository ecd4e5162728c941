"""Behind PgBouncer in transaction mode, every transaction may get another server connection."""

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
from tempfile import NamedTemporaryFile, TemporaryFile
from time import monotonic, sleep
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hooks.check import Report, expect_no_process, free_port, production
from hooks.databases import PSQL, Databases
from hooks.service import Service, end, text_of
from tests.api import Api, User, expect_equal

# One for each driver.
DRIVERS = ("async-postgres-repository", "sync-postgres-crud")
WITH_TENANTS = tuple(f"{name}-rows" for name in DRIVERS)
# Prints what sessions of many tenants have seen of others.
STORM = """
import asyncio, sys
from tests.tenants.test_connections import storm
print(asyncio.run(storm(sys.argv[1], pgbouncer=True)))
"""
TENANTS = "INSERT INTO tenants SELECT id, 'T', now(), now() FROM generate_series(2, 6) AS id"

WORKERS = 3
# PgBouncer 1.18, of Debian 12, may cancel its own SET for the next client in place of the statement
# of a client that has hung up, and then turns the next one away.
LATE_CANCEL = (
    "varcache_apply failed: ERROR: canceling statement due to user request",
    "pooler error: invalid server parameter",
)
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

# What a transaction could leave on a connection for the next client.
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
    """Start PgBouncer in front of a new database."""
    direct_url = databases.new(report.variant)
    with running(direct_url) as pgbouncer:
        service.run("run", "alembic", "upgrade", "heads", settings=production(pgbouncer.url))
        yield pgbouncer


@contextmanager
def running(direct_url: str) -> Iterator[PgBouncer]:
    # Debian puts it into a folder that is only on root's PATH.
    command = shutil.which("pgbouncer", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if command is None:
        pytest.fail("pgbouncer is missing: apt-get install pgbouncer", pytrace=False)
    # It refuses to run as root. So does Postgres, which then runs as another user.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    port = free_port()
    database = urlsplit(direct_url)
    [host] = parse_qs(database.query)["host"]
    with NamedTemporaryFile("w", suffix=".ini") as ini, TemporaryFile() as log:
        ini.write(f"""
[databases]
app = host='{host}' dbname='{database.path.strip("/")}' user=app
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
                and not any(text in line for text in LATE_CANCEL)
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
    """Serve behind PgBouncer; yield a client, and the statuses of its responses."""
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
                "LOG_LEVEL": "WARNING",  # a failure shows the last lines
                **settings,
            },
        ),
        httpx.Client(
            base_url=base_url,
            timeout=30,
            trust_env=False,
            # A new connection for each request, which any worker may accept.
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
        # Compare statuses first: a visit shows only its first wrong answer.
        expect_equal(statuses, {200: 8 * VISITS, 201: 2 * VISITS})
        for each in visits:
            each.result()

        expect_equal(api.stock(shared), 1000 - VISITS)
        [rows] = psql(pgbouncer.direct_url, COUNT)
        expected = {"users": len(users), "items": 1 + VISITS, "orders": VISITS, "lines": 2 * VISITS}
        expect_equal({table: int(count) for table, count in rows.items()}, expected)

        assert len(workers(service, pgbouncer)) == WORKERS
        assert connections(pgbouncer, "CLIENTS") > SERVER_CONNECTIONS
        assert connections(pgbouncer, "SERVERS") == SERVER_CONNECTIONS
        expect_equal(left(pgbouncer), [NOTHING] * SERVER_CONNECTIONS)


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
        expect_equal(psql(pgbouncer.direct_url, "SELECT count(*) FROM items"), [{"count": "1"}])
        expect_equal(left(pgbouncer), [NOTHING] * SERVER_CONNECTIONS)


def visit(api: Api, user: User, number: int, shared: int) -> None:
    """Send ten requests, each of which reads what the earlier ones wrote."""
    item = api.make_item(user, name=f"Thing {number}", price=f"{number}.25")
    path = f"/items/{item['id']}"
    expect_equal(api.item(item["id"]), item)
    patched = api.json("PATCH", path, 200, user, body={"name": f"New thing {number}"})
    expect_equal(
        patched, {**item, "name": f"New thing {number}", "updated_at": patched["updated_at"]}
    )
    listed = api.json("GET", "/items", params={"owner_id": user.id, "limit": 100})
    assert patched in listed["items"]

    order = api.make_order(user, (shared, 1), (item["id"], 2))
    expect_equal(order.pop("rejected"), [])
    expect_equal(Decimal(order["total"]), Decimal("10.00") + 2 * Decimal(item["price"]))
    expect_equal(api.json("GET", f"/orders/{order['id']}", 200, user), order)
    order = api.json("PATCH", f"/orders/{order['id']}", 200, user, body={"status": "processing"})
    expect_equal(order["status"], "processing")
    assert order in api.json("GET", "/orders", 200, user, params={"limit": 100})["items"]

    expect_equal(api.stock(item["id"]), item["stock"] - 2)
    expect_equal(api.json("GET", "/users/me", 200, user), user.body)


def wait_for_every_worker(service: Service, pgbouncer: PgBouncer, api: Api) -> None:
    """Send requests until each worker has a connection: the first one could answer them all."""
    for _ in range(10_000):
        if len(workers(service, pgbouncer)) == WORKERS:
            return
        api.call("GET", "/health/ready", 200)
    pytest.fail(f"10,000 requests did not reach all {WORKERS} workers")


def workers(service: Service, pgbouncer: PgBouncer) -> set[int]:
    """Return the processes that have a connection to PgBouncer."""
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
    """Return what concurrent transactions find on each of the server connections."""
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


@pytest.mark.only(*WITH_TENANTS)
def test_no_connection_takes_a_tenant_along(
    service: Service, pgbouncer: PgBouncer, databases: Databases
) -> None:
    databases.psql(pgbouncer.direct_url, TENANTS)

    output = service.run("run", "python", "-c", STORM, pgbouncer.url)

    assert output.splitlines()[-1] == "[]"
