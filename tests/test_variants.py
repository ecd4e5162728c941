"""Every variant, installed and run on its real database."""

import os
import signal
from collections.abc import Callable
from functools import partial
from inspect import isfunction, signature
from pathlib import Path

import httpx
import pytest

from hooks.check import Report, expect_no_process, free_port, production, served
from hooks.databases import Databases
from hooks.service import CommandError, Service
from tests import api

# Two variants that share no choice.
OPPOSITES = ("async-postgres-repository", "sync-sqlite-crud")
# Administrators have a tenant of their own; the contract is about one.
INTO_THE_FIRST = "UPDATE users SET tenant_id = (SELECT tenant_id FROM users ORDER BY id LIMIT 1)"
CREATE_TABLES = "4f1c2a9be07d"  # the first migration
SOFT_DELETE = "9d27c1f8e6a4"  # the second
QUICK_HASHES = """
import argon2

class QuickHasher(argon2.PasswordHasher):
    def __init__(self, **_):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)

argon2.PasswordHasher = QuickHasher
"""


@pytest.fixture
def settings(report: Report, databases: Databases) -> dict[str, str]:
    """Return the settings of production, with a new database."""
    return production(databases.new(report.variant))


def test_every_check_passes(report: Report) -> None:
    if not report.ok:
        pytest.fail(f"{report.last_step}\n{report.failure}", pytrace=False)


def test_every_topic_of_the_contract_is_checked() -> None:
    checks = {
        name: check
        for name, check in vars(api).items()
        if isfunction(check) and list(signature(check).parameters) == ["api"]
    }
    forgotten = [name for name, check in checks.items() if check not in api.TOPICS]
    assert forgotten == ["openapi_document"]  # which comes last, whatever the order of the topics


@pytest.fixture
def check_contract(
    service: Service,
    settings: dict[str, str],
    report: Report,
    databases: Databases,
    tmp_path: Path,
) -> Callable[[str], None]:
    """Return what checks the contract at a URL of this service.

    Half of the time goes to argon2, so only one variant hashes as in production.
    """
    has_tenants = "tenancy" in report.variant.answers
    without = [] if report.variant.name == OPPOSITES[0] else [api.login_takes_the_same_time]
    if without:
        tmp_path.joinpath("sitecustomize.py").write_text(QUICK_HASHES)
        settings["PYTHONPATH"] = str(tmp_path)

    def make_admin(email: str, password: str) -> None:
        admin = {**settings, "ADMIN_PASSWORD": password}
        service.run("run", "app", "create-admin", email, settings=admin)
        if has_tenants:
            databases.psql(settings["DATABASE_URL"], f"{INTO_THE_FIRST} WHERE email = '{email}'")

    return partial(
        api.check_contract, make_admin=make_admin, has_tenants=has_tenants, without=without
    )


def test_the_api_keeps_its_contract_and_is_the_same_in_every_variant(
    service: Service,
    settings: dict[str, str],
    shared: Path,
    report: Report,
    check_contract: Callable[[str], None],
) -> None:
    with served(service, settings) as base_url:
        check_contract(base_url)
        document = httpx.get(f"{base_url}/openapi.json", trust_env=False).content
    expect_no_process(service)
    assert document.startswith(b'{"openapi"')
    name = f"openapi-{report.variant.answers.get('tenancy', 'none')}.json"
    try:
        # The first variant in any worker writes the document that the others must equal.
        with (shared / name).open("xb") as first:
            first.write(document)
    except FileExistsError:
        assert document == (shared / name).read_bytes()


# The suite of every variant starts it too; this test looks at what is left.
@pytest.mark.only(*OPPOSITES)
def test_development_needs_nothing_and_leaves_nothing(service: Service) -> None:
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    dev = ("run", "app", "dev", "--port", str(port))
    with service.serving(*dev, base_url=base_url) as process:
        documentation = httpx.get(f"{base_url}/docs", trust_env=False)
        assert documentation.status_code == 200
        assert "text/html" in documentation.headers["content-type"]
        assert httpx.get(f"{base_url}/api/v1/items", trust_env=False).json()["items"] == []
        assert service.processes()
        # Ctrl-C: a terminal interrupts the whole process group.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
    # Including Postgres, whose working directory is in the service's folder.
    expect_no_process(service)


SLOW_IMPORT = """
import sys, time
from pathlib import Path

if "spawn_main" in " ".join(sys.orig_argv):
    with Path(__file__).with_name("workers").open("a") as workers:
        workers.write("one more\\n")
    time.sleep(6)  # uvicorn waits for 5 seconds by default
"""


@pytest.mark.only("sync-sqlite-crud")
def test_a_worker_that_imports_slowly_is_not_killed(
    service: Service, settings: dict[str, str], tmp_path: Path
) -> None:
    tmp_path.joinpath("sitecustomize.py").write_text(SLOW_IMPORT)
    settings["PYTHONPATH"] = str(tmp_path)
    service.run("run", "alembic", "upgrade", "heads", settings=settings)
    port = free_port()
    serve = ("run", "app", "serve", "--workers", "2", "--port", str(port))
    with service.serving(*serve, base_url=f"http://127.0.0.1:{port}", settings=settings):
        assert len(tmp_path.joinpath("workers").read_text().splitlines()) == 2


@pytest.mark.only(*OPPOSITES)
@pytest.mark.parametrize(
    ("script", "skipped"),
    [
        ("DROP TABLE order_lines; DROP TABLE items;", ["items"]),
        ("DROP INDEX ix_items_price_id;", ["ix_items_price_id"]),
        ("ALTER TABLE items DROP COLUMN description; ALTER TABLE items DROP COLUMN version;", []),
    ],
    ids=["a table", "an index", "columns"],
)
def test_a_migration_skips_what_the_owner_has_dropped(
    service: Service,
    settings: dict[str, str],
    databases: Databases,
    script: str,
    skipped: list[str],
) -> None:
    def alembic(*command: str) -> str:
        return service.run("run", "alembic", *command, settings=settings)

    alembic("upgrade", CREATE_TABLES)
    databases.execute(settings["DATABASE_URL"], script)

    output = alembic("upgrade", SOFT_DELETE)

    for name in skipped:
        assert f"Skipped {name}, which has been dropped" in output
    alembic("downgrade", CREATE_TABLES)
    alembic("upgrade", SOFT_DELETE)


@pytest.mark.only(*OPPOSITES)
@pytest.mark.parametrize(
    ("name", "value"), [("DATABASE_URL", None), ("SECRET_KEY", "x" * 31)], ids=["missing", "short"]
)
def test_production_says_which_setting_it_needs(
    service: Service, settings: dict[str, str], name: str, value: str | None
) -> None:
    del settings[name]
    if value is not None:
        settings[name] = value
    with pytest.raises(CommandError) as refusal:
        service.run(
            "run", "app", "serve", "--port", str(free_port()), settings=settings, timeout=30
        )
    *_, line, ending = str(refusal.value).splitlines()
    assert name in line
    assert "Traceback" not in str(refusal.value)
    assert ending.startswith("[exit ")
