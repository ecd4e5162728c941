"""The migrations make exactly the tables of the models, can be taken back, and lose nothing."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from app import development
from tests import database


@pytest.fixture
def url(worker_id: str) -> Iterator[str]:
    """A database that has all tables."""
    with database.created(f"migrations_{os.getpid()}_{worker_id}") as url:
        yield url


@pytest.fixture
def config(url: str, tmp_path: Path) -> Config:
    """Alembic, with a copy of the migrations, to which a test may add one."""
    config = database.alembic_config(url)
    copy = shutil.copytree(development.ROOT / "migrations", tmp_path / "migrations")
    config.set_main_option("script_location", str(copy))
    return config


def add_migration(config: Config, *statements: str) -> None:
    """Add a migration, in the place of the one that was added before."""
    scripts = ScriptDirectory.from_config(config)
    file = Path(scripts.versions, "new.py")
    file.unlink(missing_ok=True)
    lines = [
        "import sqlalchemy as sa",
        "from alembic import op",
        "revision = 'new'",
        f"down_revision = {scripts.get_current_head()!r}",
        "def upgrade():",
        *(f"    {statement}" for statement in statements),
    ]
    file.write_text("\n".join(lines))


def test_the_models_have_no_change_without_a_migration(config: Config) -> None:
    command.check(config)


def test_each_migration_goes_down_and_up(config: Config) -> None:
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())

    for _ in revisions:
        command.downgrade(config, "-1")
    for _ in revisions:
        command.upgrade(config, "+1")

    command.check(config)


def test_a_migration_that_fails_leaves_nothing(config: Config) -> None:
    add_migration(
        config,
        "op.create_table('half_done', sa.Column('id', sa.Integer))",
        "op.execute('UPDATE users SET no_such_column = 1')",
    )

    with pytest.raises(DBAPIError, match="no_such_column"):
        command.upgrade(config, "head")

    # Were the table there, it could not be created.
    add_migration(config, "op.create_table('half_done', sa.Column('id', sa.Integer))")
    command.upgrade(config, "head")


def test_an_altered_table_keeps_the_rows_that_refer_to_it(config: Config, url: str) -> None:
    database.execute(
        url,
        "INSERT INTO users (id, email, name, password_hash, token_version, created_at, updated_at)"
        " VALUES (1, 'a@b.example', 'A', '', 1, '2026-11-21 12:00', '2026-11-21 12:00')",
    )
    database.execute(
        url,
        "INSERT INTO profiles (user_id, bio, created_at, updated_at)"
        " VALUES (1, 'Hello', '2026-11-21 12:00', '2026-11-21 12:00')",
    )
    add_migration(
        config,
        "with op.batch_alter_table('users') as users:",
        "    users.alter_column('name', type_=sa.String(300))",
    )

    command.upgrade(config, "head")

    assert [tuple(row) for row in database.execute(url, "SELECT bio FROM profiles")] == [("Hello",)]
