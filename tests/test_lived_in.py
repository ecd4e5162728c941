"""An update of a service that its owner has changed a lot keeps every change and row, and works."""

import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest
import yaml

from hooks.check import check_types
from hooks.databases import Databases
from hooks.release import NEXT, releases
from hooks.variants import ROOT, Variant, variants
from tests.conftest import PROCESS, TOOLS
from tests.lived_in import rows
from tests.lived_in.owner import (
    FEWER_STEPS,
    Owner,
    deletes_orders_as_documented,
    expects_that_items_are_hidden,
    live_in,
    rewritten,
)
from tests.projects import Projects, expect_merged, in_the_half, tree
from tests.test_updates import FIRST

Commands = tuple[tuple[str, ...], ...]

STATIC: Commands = (("ruff", "format", "--check"), ("ruff", "check"))
MIGRATIONS: Commands = (("alembic", "upgrade", "heads"), ("alembic", "check"))
# Neither the tests of the tools nor those of the process see what the owner has changed.
SUITE = ("pytest", "--numprocesses", "0", *(f"--ignore=tests/{name}" for name in TOOLS + PROCESS))
# Those that the first release has: a service cannot live with tenants before there are any.
VARIANTS = [variant for variant in variants() if "tenancy" not in variant.answers]
# A service that has every release in turn takes a minute, and its suite another: two variants that
# differ in concurrency and database do that. The others have the same edits, and the files of a new
# copy, whose suite `test_variants.py` runs; two of them come from the first release, four over the
# last migration.
LONG_LIVED = [variant for variant in VARIANTS if in_the_half(variant)]
YOUNG = [variant for variant in VARIANTS if not in_the_half(variant)]
SUITES = ("async-postgres-repository", "sync-sqlite-repository")


@pytest.fixture
def start(
    projects: Projects, databases: Databases, venv: Path, variant: Variant
) -> Iterator[Callable[[str], Owner]]:
    """Return what starts a service from a release, once in a test."""
    # Not in pytest's temporary folder: the service's own run of pytest makes that private, and
    # Postgres runs as another user when root starts it.
    folder = Path(mkdtemp(prefix=f"lived-in-{variant.name}-"))

    def start(release: str) -> Owner:
        project = projects.start(folder / "project", release, variant.answers)
        return Owner(project, variant, databases, projects.shell, venv)

    yield start
    rmtree(folder)


def versions(variant: Variant) -> list[str]:
    """Return the versions that a service has in turn; async ones skip the newest release.

    None skips 0.2.0, which moved tests of orders away from tests that 0.3.0 rewrites.
    """
    released = [*releases()]
    if variant.name not in SUITES:
        return [*released[:2], NEXT]
    return [*(released[:-1] if variant.answers["concurrency"] == "async" else released), NEXT]


@pytest.mark.parametrize("variant", LONG_LIVED, ids=lambda variant: variant.name)
def test_an_update_keeps_what_an_owner_did(
    projects: Projects, start: Callable[[str], Owner], variant: Variant
) -> None:
    owner = start(FIRST)
    live_in(owner)
    before = rows.read(owner.database_url, tables(owner))

    for old, new in pairwise(versions(variant)):
        update(projects, owner, old, new)
        follow_the_message(owner, merges=variant.answers["concurrency"] == "async")
        owner.commit(f"update to {new}")

    expects_that_items_are_hidden(owner)
    owner.run_all(STATIC)
    check_types(owner.service, f"lived-in-{variant.name}")
    expect_rows_kept(projects, owner, FIRST, before)
    if variant.name in SUITES:
        # Block the folder of the development database: the suite must not need it.
        (owner.folder / ".data").write_text("There is none.\n")
        owner.run(*SUITE)


@pytest.mark.parametrize("variant", YOUNG, ids=lambda variant: variant.name)
def test_an_update_over_the_last_migration_keeps_the_rows(
    projects: Projects, start: Callable[[str], Owner], variant: Variant
) -> None:
    release = projects.before_the_last_migration(variant.answers)
    owner = start(release)
    live_in(owner, FEWER_STEPS)
    if variant.answers["data_access"] == "repository":
        live_in(owner, [deletes_orders_as_documented])
    before = rows.read(owner.database_url, tables(owner))

    update(projects, owner, release, NEXT)
    follow_the_message(owner, merges=variant.answers["concurrency"] == "sync")

    expect_rows_kept(projects, owner, release, before)


def tables(owner: Owner) -> list[str]:
    has_orders = (owner.folder / "app" / "orders" / "models.py").exists()
    return [table for table in rows.READ if has_orders or not table.startswith("order")]


def update(projects: Projects, owner: Owner, old: str, new: str) -> None:
    """Update, and fail unless that merged the owner's changes with those of the release."""
    before = tree(owner.folder)
    projects.update(owner.folder, version=new, rewritten=[rewritten(owner)])
    then, now = (tree(projects.copy(version, owner.variant.answers)) for version in (old, new))
    expect_merged(tree(owner.folder), before, then, now, rewritten=[rewritten(owner)])


def follow_the_message(owner: Owner, *, merges: bool) -> None:
    """Type what the message after an update says about new migrations; some forget to merge."""
    settings = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    merge, upgrade, *_ = re.findall("`uv run (alembic .+?)`", settings["_message_after_update"])
    assert "merge heads" in merge
    if owner.shell.git("status", "--porcelain", "migrations/versions", cwd=owner.folder):
        if merges:
            owner.run(*shlex.split(merge))
        owner.run(*shlex.split(upgrade))


def expect_rows_kept(projects: Projects, owner: Owner, release: str, before: rows.Rows) -> None:
    """Fail unless the rows are there, also after the migrations since the release are undone."""
    owner.run("alembic", "check")
    assert rows.with_columns_of(before, rows.read(owner.database_url, before)) == before

    for first in first_migration_since(projects, owner.variant, release):
        owner.run("alembic", "downgrade", first)
        assert rows.read(owner.database_url, before) == before

        owner.run("alembic", "upgrade", "heads")
        assert rows.with_columns_of(before, rows.read(owner.database_url, before)) == before
    owner.run("alembic", "downgrade", "base")


def first_migration_since(projects: Projects, variant: Variant, release: str) -> list[str]:
    """Return what `alembic downgrade` needs to undo the template's since a release, if any."""
    folders = [
        projects.copy(version, variant.answers) / "migrations" / "versions"
        for version in (release, NEXT)
    ]
    old, new = (
        {file.name: file.read_text("utf-8") for file in folder.iterdir()} for folder in folders
    )
    names = [
        re.findall('^(?:down_)?revision: .*"(.+)"$', new[name], re.MULTILINE)
        for name in new.keys() - old.keys()
    ]
    added = {revision for revision, _ in names}
    return [f"{revision}@{before}" for revision, before in names if before not in added]
