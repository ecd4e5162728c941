"""`app purge` erases what was deleted long ago, and nothing else."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, ForeignKey, Table
from typer.testing import CliRunner, Result

from app import purge
from app.cli import app
from app.items.models import Item
from app.models import Base
from tests import database

LONG_AGO = "2026-01-01 12:00:00"
FAR_AWAY = "2999-01-01 12:00:00"


@pytest.fixture
def notes(url: str) -> Iterator[str]:
    """Add a table that refers to items."""
    database.execute(url, "CREATE TABLE notes (item_id BIGINT REFERENCES items)")
    notes = Table("notes", Base.metadata, Column("item_id", ForeignKey(Item.id)))
    yield notes.name
    Base.metadata.remove(notes)


def add_items(url: str, *deleted_at: str | None) -> None:
    """Add an item for each moment, with the ids 1, 2, …."""
    database.execute(
        url,
        "INSERT INTO users (id, email, name, password_hash, token_version, created_at, updated_at)"
        " VALUES (1, 'a@b.example', 'A', '', 1, '2026-01-01 12:00', '2026-01-01 12:00')",
    )
    for number, moment in enumerate(deleted_at, start=1):
        deleted = f"'{moment}'" if moment else "NULL"
        database.execute(
            url,
            "INSERT INTO items (id, owner_id, name, price, stock, version, created_at, updated_at,"
            f" deleted_at) VALUES ({number}, 1, 'A', 1, 1, 1, '2026-01-01 12:00',"
            f" '2026-01-01 12:00', {deleted})",
        )


def run(url: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["purge", *options], env={"DATABASE_URL": url})


def ids(url: str) -> list[int]:
    return sorted(row[0] for row in database.execute(url, "SELECT id FROM items"))


def test_what_was_deleted_long_ago_is_erased(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    add_items(url, LONG_AGO, None, FAR_AWAY, *[LONG_AGO] * 4)

    result = run(url, "--days", "30")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["items: erased 5", "failed_logins: erased 0"]
    assert ids(url) == [2, 3]


@pytest.mark.usefixtures("notes")
def test_what_others_refer_to_stays(url: str) -> None:
    add_items(url, LONG_AGO, LONG_AGO)
    database.execute(url, "INSERT INTO notes VALUES (1)")

    result = run(url, "--days", "30")

    assert "items: erased 1, kept 1 to which others refer\n" in result.stdout
    assert ids(url) == [1]


def test_failed_logins_are_forgotten(url: str) -> None:
    insert = "INSERT INTO failed_logins (email_hash, failures, retry_at)"
    database.execute(url, f"{insert} VALUES ('a', 1, '{LONG_AGO}'), ('b', 1, '{FAR_AWAY}')")

    run(url, "--days", "30")

    assert database.execute(url, "SELECT email_hash FROM failed_logins") == [("b",)]


def test_purging_needs_the_tables(url: str) -> None:
    database.execute(url, "ALTER TABLE items RENAME TO things")

    result = run(url, "--days", "30")

    assert result.exit_code == 1
    assert result.output.startswith("Is the database migrated")


@pytest.mark.parametrize("options", [(), ("--days", "-1"), ("--days", "36501")])
def test_days_are_needed_and_bounded(url: str, options: tuple[str, ...]) -> None:
    assert run(url, *options).exit_code == 2
