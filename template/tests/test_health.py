"""The service is ready when its database has the migrations of the code."""

import os
from pathlib import Path

from alembic import command

from app.revisions import VERSIONS, is_migrated, read
from tests import database
from tests.service import WITH_COVERAGE, is_unavailable, running


def test_not_ready_until_the_migrations_have_run(folder: Path, worker_id: str) -> None:
    with database.created(f"behind_{os.getpid()}_{worker_id}") as url:
        config = database.alembic_config(url)
        command.downgrade(config, "base")
        with running("serve", folder=folder, DATABASE_URL=url, **WITH_COVERAGE) as service:
            assert is_unavailable(service.get("/health/ready"))
            database.execute(url, "DROP TABLE alembic_version")
            assert is_unavailable(service.get("/health/ready"))
            assert service.get("/health/live").status_code == 200

            command.upgrade(config, "heads")
            assert service.get("/health/ready").status_code == 200
            assert service.get("/health/ready").status_code == 200


def test_a_database_may_be_ahead_of_the_code() -> None:
    known, heads = read(VERSIONS)

    assert is_migrated(heads)
    assert is_migrated({"of a newer version"})
    assert not is_migrated(set())
    assert heads <= known


def test_heads_are_the_revisions_that_no_other_follows(tmp_path: Path) -> None:
    revisions = {"a": None, "b": "a", "c": "a", "d": ("b", "c"), "e": "d", "f": "d"}
    for revision, before in revisions.items():
        file = tmp_path / f"{revision}.py"
        file.write_text(f'revision: str = "{revision}"\ndown_revision = {before!r}\nother = 1\n')
    (tmp_path / "helper.py").write_text("import os\n")

    assert read(tmp_path) == (set("abcdef"), {"e", "f"})
    assert read(tmp_path / "nowhere") == (set(), set())
