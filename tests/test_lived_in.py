"""An update of a service that its owner has changed a lot keeps every change, and works."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from hooks.databases import Databases
from hooks.release import NEXT, releases
from hooks.variants import Variant, variants
from tests.conftest import Shell
from tests.lived_in.owner import Owner, live_in
from tests.projects import Projects, expect_merged, tree
from tests.test_updates import FIRST

STATIC = (("ruff", "format", "--check"), ("ruff", "check"), ("mypy",))
MIGRATIONS = (("alembic", "upgrade", "heads"), ("alembic", "check"))
# With coverage, to find lines that only the deleted tests of orders ran.
SUITE = (("pytest", "--numprocesses", "2"),)
# Two variants that share no choice, because a suite takes a minute or more. The others have the
# same edits, and the files of a new copy, whose suite `test_variants.py` runs.
SUITES = ("async-postgres-repository", "sync-sqlite-crud")


@pytest.fixture(scope="session")
def environment() -> Iterator[dict[str, str]]:
    """Return one environment for all projects of this worker, which runs one at a time."""
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
    # Not in pytest's temporary folder: the service's own run of pytest makes that private, and
    # Postgres runs as another user when root starts it.
    folder = Path(mkdtemp(prefix=f"lived-in-{variant.name}-"))
    project = projects.start(folder / "project", FIRST, variant.answers)
    yield Owner(project, variant, databases, shell, environment)
    rmtree(folder)


def versions(variant: Variant) -> list[str]:
    """Return the versions that a service has in turn; async ones skip the newest release.

    None skips 0.2.0, which moved tests of orders away from tests that 0.3.0 rewrites.
    """
    released = [*releases()]
    return [*(released[:-1] if variant.answers["concurrency"] == "async" else released), NEXT]


@pytest.mark.parametrize("variant", variants(), ids=lambda variant: variant.name)
def test_an_update_keeps_what_an_owner_did(
    projects: Projects, owner: Owner, variant: Variant
) -> None:
    live_in(owner)
    # A failure after this is the update's.
    owner.run_all(STATIC)

    for old, new in pairwise(versions(variant)):
        before = tree(owner.folder)
        projects.update(owner.folder, version=new)
        copies = (tree(projects.copy(version, variant.answers)) for version in (old, new))
        expect_merged(tree(owner.folder), before, *copies)
        owner.commit(f"update to {new}")

    owner.run_all(STATIC + MIGRATIONS)
    if variant.name in SUITES:
        # Block the folder of the development database: the suite must not need it.
        (owner.folder / ".data").write_text("There is none.\n")
        owner.run_all(SUITE)
