"""Takes down one of the two walls, so that a test can look at the other."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event, orm

from app.models import Base
from app.tenants.rows import keep_within, stay_within
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
def without_the_second(url: str) -> Iterator[None]:
    """Let the database show and take all rows."""
    for table in Base.metadata.sorted_tables:
        execute(url, f"ALTER TABLE {table.name} DISABLE ROW LEVEL SECURITY")
    try:
        yield
    finally:
        for table in Base.metadata.sorted_tables:
            if table.name != "failed_logins":
                execute(url, f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY")
