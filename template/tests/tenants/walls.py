"""Takes down one of the two walls, so that a test can look at the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import event, orm

from app.models import Base
from app.tenants.rows import keep_within, name_tenant, stay_within
from tests.database import execute


@contextmanager
def without_the_first() -> Iterator[None]:
    """Let the ORM do what it would do without tenants."""
    event.remove(orm.Session, "do_orm_execute", stay_within)
    event.remove(orm.Session, "before_flush", keep_within)
    try:
        yield
    finally:
        event.listen(orm.Session, "do_orm_execute", stay_within)
        event.listen(orm.Session, "before_flush", keep_within)


@contextmanager
def naming_any_tenant() -> Iterator[None]:
    """Let SQL that names the tenant work for the one that its caller says."""
    event.remove(orm.Session, "do_orm_execute", name_tenant)
    try:
        yield
    finally:
        event.listen(orm.Session, "do_orm_execute", name_tenant)


@contextmanager
def without_the_second(url: str) -> Iterator[None]:
    """Let the database show and take all rows."""
    names = [name for name in Base.metadata.tables if name != "failed_logins"]
    row_level_security(url, "DISABLE", names)
    try:
        yield
    finally:
        row_level_security(url, "ENABLE", names)


def row_level_security(url: str, verb: str, tables: Sequence[str]) -> None:
    changes = "; ".join(f'ALTER TABLE "{table}" {verb} ROW LEVEL SECURITY' for table in tables)
    execute(url, f"DO 'BEGIN {changes}; END'")
