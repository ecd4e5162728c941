"""Fixtures: copies of the template, projects made from it, and installed variants."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from types import CodeType

import pytest
import yaml
from copier._main import Worker
from copier._vcs import clone
from jinja2 import Environment

from hooks.check import Report, check, steps
from hooks.databases import Databases
from hooks.service import Service
from hooks.variants import ROOT, Variant, variants
from tests.projects import Projects, in_the_half

pytest.register_assert_rewrite("tests.api")

GIT = {
    # Not those of the person who runs the tests, who may sign commits or name branches differently.
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


class Shell:
    """Runs commands as a user types them, but without the user's settings of git and Copier."""

    def __init__(self, settings: Path) -> None:
        self.environment = os.environ | GIT | {"COPIER_SETTINGS_PATH": str(settings)}

    def __call__(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False
        )

    def git(self, *arguments: str, cwd: Path) -> str:
        done = self("git", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def copier(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return self(sys.executable, "-m", "copier", *arguments, cwd=cwd)


@pytest.fixture(scope="session", autouse=True)
def _quick_copier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clone and compile a template once, parse YAML in C, and ask git nothing for each file.

    These take most of the time of a copy. Copier makes a clone and a Jinja environment for each
    copy, and three copies for an update. It asks git for each file whether git looks at modes, and
    does no more where git does, as in all projects here.
    """
    compile_template = Environment.compile
    compiled: dict[tuple[object, ...], CodeType] = {}

    def compile_once(
        self: Environment, source: str, name: str | None = None, filename: str | None = None
    ) -> CodeType:
        self.preprocess(source, name)  # the extension for `yield` forgets the last one here
        key = (source, name, self.lexer)  # there is one lexer for equal settings
        if key not in compiled:
            compiled[key] = compile_template(self, source, name, filename)
        return compiled[key]

    clones: dict[tuple[str, str, str], str] = {}

    def clone_once(url: str, ref: str, location: str) -> str:
        # With changes that are not committed, which only a test's own template gets meanwhile.
        if ref == "HEAD" and url != str(ROOT):
            return clone(url, ref, location)
        commit = ("git", "-C", url, "rev-parse", f"{ref}^{{commit}}")
        commit_id = subprocess.check_output(commit, text=True)
        key = (url, ref, commit_id)
        if key not in clones:
            folder = tmp_path_factory.mktemp("clone")
            clones[key] = clone(url, ref, str(folder))
        return clones[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("copier._template.clone", clone_once)
        patch.setattr(Environment, "compile", compile_once)
        patch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)
        patch.setattr(Worker, "_sync_git_index_executable_bit", lambda _self, _path, _mode: None)
        yield


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    settings = tmp_path_factory.mktemp("copier") / "settings.yml"
    settings.write_text("{}\n")
    return Shell(settings)


@pytest.fixture
def template(shell: Shell, tmp_path: Path) -> Path:
    """Copy this template as it is into a folder without history, to be broken or released."""
    folder = tmp_path / "template-copy"
    listed = shell.git(
        "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():  # not deleted since the last commit
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def release(shell: Shell, template: Path) -> Callable[[str], None]:
    """Commit the template and tag it."""

    def tag(version: str) -> None:
        shell.git("init", "--quiet", cwd=template)
        shell.git("add", "--all", cwd=template)
        shell.git("commit", "--quiet", "--message", version, cwd=template)
        shell.git("tag", version, cwd=template)

    return tag


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return one folder for all workers of this run of pytest."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def projects(shared: Path, shell: Shell) -> Projects:
    return Projects(shared / "projects", shell)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return an empty folder outside of pytest's, which is private: Postgres is another user."""
    folder = Path(mkdtemp(prefix="services-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def venv() -> Iterator[Path]:
    """Return where this worker installs services, one after the other.

    `uv run` gives each exactly its own packages, and Python compiles those that they share once.
    """
    folder = Path(mkdtemp(prefix="services-venv-"))
    yield folder / "venv"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    with Databases() as databases:
        yield databases


# What a process does with connections and requests, and how it starts.
PROCESS = (
    "test_admission.py",
    "test_database_url.py",
    "test_error_codes.py",
    "test_limits.py",
    "test_middleware.py",
    "test_outages.py",
    "test_secrets.py",
    "test_server.py",
)
# All variants with the same concurrency and database have the same bytes in these files, which test
# the process, and whatever the OpenAPI document declares. One of them runs them here; `hooks check`
# and the workflow's job for each variant run everything.
SAME_FOR_A_DRIVER = (
    *PROCESS,
    "test_contract.py",
    "test_health.py",
    "test_hints.py",
    "test_input.py",
    "test_openapi.py",
    "test_references.py",
    "test_settings.py",
)
FOR_ALL_OF_A_DRIVER = (
    "async-postgres-crud",
    "async-sqlite-repository",
    "sync-postgres-crud-rows",
    "sync-sqlite-crud",
)
# These are the same in two variants that differ by data access alone, and so is what they test.
SAME_IN_TWINS = (
    "tenants/test_connections.py",
    "tenants/test_policies.py",
    "tenants/test_schema.py",
    "tenants/test_walls.py",
    "test_database.py",
    "test_errors.py",
    "test_faults.py",
    "test_hostile_input.py",
    "test_idempotency.py",
    "test_migrations.py",
    "test_reading.py",
    "test_searches.py",
)
# What a developer types, and what a service reports: nothing there depends on two choices at once.
TOOLS = (
    "test_cli.py",
    "test_docs.py",
    "test_harness.py",
    "test_new.py",
    "test_postgres.py",
    "test_telemetry.py",
)
# Between them these two make each choice, so they run the tests of the tools for all. They count
# coverage, too, which makes a suite a half slower.
COVERED = "sync-postgres-crud-rows"
COVERED_WITHOUT_ORDERS = "async-sqlite-repository"  # by `test_example.py`


def suite(variant: Variant) -> list[str]:
    """Return the arguments of pytest: all tests in one variant, fewer in those like it."""
    if variant.name == COVERED:
        return ["--cov"]
    ignored = [*TOOLS]
    if variant.name not in FOR_ALL_OF_A_DRIVER:
        ignored += SAME_FOR_A_DRIVER
    if in_the_half(variant):
        ignored += SAME_IN_TWINS
    return [f"--ignore=tests/{name}" for name in ignored]


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(variant, id=variant.name, marks=pytest.mark.xdist_group(variant.name))
        for variant in variants()
    ],
)
def report(request: pytest.FixtureRequest, databases: Databases, venv: Path) -> Iterator[Report]:
    variant: Variant = request.param
    # Not in pytest's temporary folder: the service's own run of pytest makes that private, and
    # Postgres runs as another user when root starts it.
    folder = Path(mkdtemp(prefix=f"{variant.name}-"))
    service = Service(folder, venv)
    all_steps = steps(variant, service, databases, suite=suite(variant))
    del all_steps["boot"]  # the contract does more
    yield check(Report(variant, folder), all_steps)
    shutil.rmtree(folder)


@pytest.fixture
def service(report: Report, venv: Path) -> Service:
    assert "format" in report.seconds, f"was not installed:\n{report.failure}"
    return Service(report.folder, venv)


def pytest_xdist_auto_num_workers() -> int:
    """Start more workers than there are cores: tests wait for timeouts, locks and servers."""
    return (os.cpu_count() or 1) * 3 // 2


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "only(*names): run a test of `report` for these variants only"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Not by parameters of the test: pytest groups tests that share a report by their index in the
    # list of parameters.
    config.hook.pytest_deselected(items=[item for item in items if not is_wanted(item)])
    items[:] = [item for item in items if is_wanted(item)]


def is_wanted(item: pytest.Item) -> bool:
    only = item.get_closest_marker("only")
    if only is None:
        return True
    assert isinstance(item, pytest.Function)
    variant = item.callspec.params["report"]
    assert isinstance(variant, Variant)
    return variant.name in only.args
