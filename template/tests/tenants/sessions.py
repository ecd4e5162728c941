"""Tells Postgres the tenant of each session that shares the connection of a test.

In production, each transaction has a connection of its own, and its beginning is when to tell.
"""

from typing import Any

from sqlalchemy import Connection, event, orm
from sqlalchemy.orm import SessionTransaction

from app.database import Database
from app.tenants.connections import SETTINGS, tell
from app.tenants.rows import EVERY_TENANT

TENANT_ID = 1  # of all users that tests create, unless they say otherwise
NOBODY = dict.fromkeys(SETTINGS, "")


@event.listens_for(orm.Session, "after_begin")
def tell_tenant(session: orm.Session, _transaction: object, connection: Connection) -> None:
    if isinstance(session.bind, Connection) and "told_before" not in session.info:
        session.info["told_before"] = connection.info.get("told_in_test", NOBODY)
        options = session.execution_options
        tell_now(connection, {name: str(options.get(name, "")) for name in SETTINGS})


@event.listens_for(orm.Session, "after_transaction_end")
def tell_the_one_before(session: orm.Session, transaction: SessionTransaction) -> None:
    connection = session.bind
    is_last = transaction.parent is None and "told_before" in session.info
    if is_last and isinstance(connection, Connection) and connection.in_transaction():
        tell_now(connection, session.info.pop("told_before"))


def tell_now(connection: Connection, told: dict[str, Any]) -> None:
    connection.execute(tell("true", []), told)
    connection.info["told_in_test"] = told


def working_for_us(database: Database) -> Database:
    """Let the sessions of the service's own engines work for our tenant, and by hand, too."""
    for sessions in (database.sessions, database.reading_sessions):
        ours = {"tenant_id": TENANT_ID, **EVERY_TENANT}
        sessions.configure(execution_options={**(sessions.kw["execution_options"] or {}), **ours})
    return database
