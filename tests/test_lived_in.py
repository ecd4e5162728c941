"""A service in which its owner has changed much takes an update: all is kept, and all passes."""

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from hooks.databases import Databases
from hooks.release import NEXT
from hooks.variants import Variant, variants
from tests.conftest import Shell
from tests.lived_in.owner import Owner, live_in
from tests.projects import Projects, expect_merged, tree
from tests.test_updates import FIRST

STATIC = (("ruff", "format", "--check"), ("ruff", "check"), ("mypy",))
MIGRATIONS = (("alembic", "upgrade", "head"), ("alembic", "check"))
# What is covered is measured by `test_variants.py`, in the copies.
SUITE = (("pytest", "--numprocesses", "2", "--no-cov"),)
# The two that share no choice: a suite takes a minute or more, and all of `.ci/run` has
# fifteen, on two cores. The others have the files of a new copy, whose suite `test_variants.py`
# runs, and the same edits.
SUITES = ("async-postgres-repository", "sync-sqlite-crud")


@pytest.fixture(scope="session")
def environment() -> Iterator[dict[str, str]]:
    """One environment for the projects of this worker, since it has them one after another."""
    folder = Path(mkdtemp(prefix="lived-in-environment-"))
    yield {"UV_PROJECT_ENVIRONMENT": str(folder / "venv"), "MYPY_CACHE_DIR": str(folder / "mypy")}
    rmtree(folder)


@pytest.fixture
def owner(
    projects: Projects,
    shell: Shell,
    databases: Databases,
    environment: dict[str, str],
    variant: Variant,
) -> Iterator[Owner]:
    # Not under pytest's temporary folder, which the service's own run of pytest closes to others;
    # Postgres, when root starts it, runs as another user.
    folder = Path(mkdtemp(prefix=f"lived-in-{variant.name}-"))
    project = projects.start(folder / "project", FIRST, variant.answers)
    yield Owner(project, variant, databases, shell, environment)
    rmtree(folder)


@pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.name)
def test_an_update_keeps_what_an_owner_did(
    projects: Projects, owner: Owner, variant: Variant
) -> None:
    live_in(owner)
    # So that what fails afterwards is the update's.
    owner.run_all(STATIC)
    before = tree(owner.folder)

    projects.update(owner.folder)

    old, new = (tree(projects.copy(version, variant.answers)) for version in (FIRST, NEXT))
    expect_merged(tree(owner.folder), before, old, new)
    owner.run_all(STATIC + MIGRATIONS)
    if variant.name in SUITES:
        # In the place of the folder with the development database, for whoever looks for that.
        (owner.folder / ".data").write_text("There is none.\n")
        owner.run_all(SUITE)
