"""Every variant, installed in an environment of its own and run on its real engine."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import httpx
import pytest

from hooks.check import Report, expect_no_process, free_port, production, served
from hooks.databases import Databases
from hooks.service import CommandError, Service
from tests.api import speak

# The two that share no choice.
OPPOSITES = ("async-postgres-repository", "sync-sqlite-crud")
NOWHERE = {
    "postgres": "postgresql://nobody@127.0.0.1:1/development",
    "sqlite": "sqlite:////nowhere/development.db",
}


@pytest.fixture
def settings(report: Report, databases: Databases) -> dict[str, str]:
    """What production takes, with a new database."""
    return production(databases.new(report.variant))


@pytest.fixture
def no_development_database(report: Report, service: Service) -> Iterator[dict[Path, str]]:
    """Let whoever asks for the development database fail; files, and what is in them."""
    data, env = service.folder / ".data", service.folder / ".env"
    rmtree(data, ignore_errors=True)  # of tests that came before; no other needs it
    files = {
        # Not a folder that is read-only, which root could write into.
        data: "There is no development database.\n",
        env: f"DATABASE_URL={NOWHERE[report.variant.answers['database']]}\n",
    }
    for file, content in files.items():
        file.write_text(content)
    yield files
    for file in files:
        file.unlink()


def test_check(report: Report) -> None:
    if not report.ok:
        pytest.fail(f"{report.last_step}\n{report.failure}", pytrace=False)


def test_the_api_keeps_its_contract_and_is_the_same_in_every_variant(
    service: Service, settings: dict[str, str], shared: Path
) -> None:
    def make_admin(email: str, password: str) -> None:
        admin = {**settings, "ADMIN_PASSWORD": password}
        service.run("run", "app", "create-admin", email, settings=admin)

    with served(service, settings) as base_url:
        speak(base_url, make_admin)
        document = httpx.get(f"{base_url}/openapi.json", trust_env=False).content
    assert document.startswith(b'{"openapi"')
    try:
        # The first variant to come here, in whichever worker, says what the others must equal.
        with (shared / "openapi.json").open("xb") as first:
            first.write(document)
    except FileExistsError:
        assert document == (shared / "openapi.json").read_bytes()


# The suite of every variant starts it, too; here one sees what it leaves.
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
        # Ctrl-C: a terminal tells every process of the group.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
    # Nor a Postgres, whose working directory is its data in the service's folder.
    expect_no_process(service)


# On Postgres, `test_lived_in.py` does the same.
@pytest.mark.only("sync-sqlite-crud")
def test_the_tests_need_no_order_and_no_development_database(
    service: Service, no_development_database: dict[Path, str]
) -> None:
    before = set(service.folder.glob("[!.]*"))
    # For the second time, after `test_check`, which has measured what is covered.
    output = service.run("run", "pytest", "--numprocesses", "2", "--no-cov")
    assert "Using --randomly-seed=" in output
    assert "2 workers" in output
    assert set(service.folder.glob("[!.]*")) == before
    assert {file: file.read_text() for file in no_development_database} == no_development_database


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
