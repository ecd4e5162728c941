"""The migrations make exactly the tables of the models, and can be taken back."""

import os
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app import development
from tests import database


@pytest.fixture
def config(worker_id: str) -> Iterator[Config]:
    """Alembic, on a database that has all tables."""
    with database.created(f"migrations_{os.getpid()}_{worker_id}") as url:
        config = Config(toml_file=development.ROOT / "pyproject.toml")
        config.attributes["database_url"] = url
        yield config


def test_the_models_have_no_change_without_a_migration(config: Config) -> None:
    command.check(config)


def test_each_migration_goes_down_and_up(config: Config) -> None:
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())

    for _ in revisions:
        command.downgrade(config, "-1")
    for _ in revisions:
        command.upgrade(config, "+1")

    command.check(config)
