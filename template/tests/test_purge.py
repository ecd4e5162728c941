"""`app purge` erases what was deleted long ago, and nothing else."""

import pytest
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from typer.testing import CliRunner, Result

from app import models, purge
from app.cli import app
from app.models import PrimaryKey, SoftDelete
from tests import database

LONG_AGO = "2026-01-01 12:00:00"
FAR_AWAY = "2999-01-01 12:00:00"


class Base(DeclarativeBase):
    """Apart from the service's, whose tables are those of its migrations."""

    type_annotation_map = models.Base.type_annotation_map


class Parcel(SoftDelete, Base):
    __tablename__ = "test_parcels"

    id: Mapped[PrimaryKey]


class Label(Base):
    __tablename__ = "test_labels"

    id: Mapped[PrimaryKey]
    parcel_id: Mapped[int] = mapped_column(ForeignKey(Parcel.id))


@pytest.fixture
def parcels(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a database with parcels, which are the only models."""
    monkeypatch.setattr(purge, "Base", Base)
    moment = "TIMESTAMP WITH TIME ZONE"
    database.execute(url, f"CREATE TABLE test_parcels (id BIGINT PRIMARY KEY, deleted_at {moment})")
    reference = "parcel_id BIGINT REFERENCES test_parcels"
    database.execute(url, f"CREATE TABLE test_labels (id BIGINT PRIMARY KEY, {reference})")
    return url


def add_parcels(url: str, *deleted_at: str | None) -> None:
    """Add a parcel for each moment, with the ids 1, 2, …."""
    for number, moment in enumerate(deleted_at, start=1):
        deleted = f"'{moment}'" if moment else "NULL"
        database.execute(url, f"INSERT INTO test_parcels VALUES ({number}, {deleted})")


def run(url: str, *options: str) -> Result:
    return CliRunner().invoke(app, ["purge", *options], env={"DATABASE_URL": url})


def ids(url: str) -> list[int]:
    rows = database.execute(url, "SELECT id FROM test_parcels ORDER BY id")
    return [row[0] for row in rows]


def test_what_was_deleted_long_ago_is_erased(parcels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    add_parcels(parcels, LONG_AGO, None, FAR_AWAY, *[LONG_AGO] * 4)

    result = run(parcels, "--days", "30")

    assert result.exit_code == 0, result.output
    assert result.stdout == "test_parcels: erased 5\n"
    assert ids(parcels) == [2, 3]


def test_what_others_refer_to_stays(parcels: str) -> None:
    add_parcels(parcels, LONG_AGO, LONG_AGO)
    database.execute(parcels, "INSERT INTO test_labels VALUES (1, 1)")

    result = run(parcels, "--days", "30")

    assert result.stdout == "test_parcels: erased 1, kept 1 to which others refer\n"
    assert ids(parcels) == [1]


def test_failed_logins_are_forgotten(url: str) -> None:
    insert = "INSERT INTO failed_logins (email_hash, failures, retry_at)"
    database.execute(url, f"{insert} VALUES ('a', 1, '{LONG_AGO}'), ('b', 1, '{FAR_AWAY}')")

    result = run(url, "--days", "30")

    assert "failed_logins: erased 1\n" in result.stdout
    assert database.execute(url, "SELECT email_hash FROM failed_logins") == [("b",)]


def test_purging_needs_the_tables(url: str) -> None:
    database.execute(url, "ALTER TABLE failed_logins RENAME TO others")

    result = run(url, "--days", "30")

    assert result.exit_code == 1
    assert "Is the database migrated" in result.output


@pytest.mark.parametrize("options", [(), ("--days", "-1"), ("--days", "36501")])
def test_days_are_needed_and_bounded(url: str, options: tuple[str, ...]) -> None:
    assert run(url, *options).exit_code == 2
