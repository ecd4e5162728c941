"""Tells Postgres for whom each transaction works, and refuses roles that could see all rows.

This is the second of two walls. Row-level security compares each row with the setting
`app.tenant_id`; without one, it shows no row.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.engine import Connection

from app.database_errors import DatabaseUnavailableError

# Execution options of a session, and the settings that the policies of the tables read.
SETTINGS = {
    "tenant_id": "app.tenant_id",
    "email": "app.email",  # of whoever logs in: shows their row, before their tenant is known
    "lists_tenants": "app.lists_tenants",  # for jobs: shows the tenants, but no row of theirs
}
IS_EXEMPT = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
EXEMPT = (
    "The database role of DATABASE_URL is a superuser or has BYPASSRLS, so that nothing in the "
    "database would keep tenants apart: use a role that is neither, and owns the tables."
)


def refuse_exempt_role(connection: Any, _record: object) -> None:
    """Listen to `connect`: row-level security would not apply, and not say so."""
    try:
        cursor = connection.cursor()
        cursor.execute(IS_EXEMPT)
        [is_exempt] = cursor.fetchone()
        cursor.close()
        connection.rollback()
    except Exception as error:  # each driver has its own
        with suppress(Exception):
            connection.close()
        raise DatabaseUnavailableError from error
    if is_exempt:
        connection.close()
        raise DatabaseUnavailableError(EXEMPT)


def tell_tenant(
    session_settings: Mapping[str, str], *, pgbouncer: bool
) -> Callable[[Connection], None]:
    """Return a listener to `begin` that tells for whom the transaction works.

    In autocommit, the setting stays with the connection, and is told when the last one differs.
    PgBouncer gives each transaction another connection, so there it is always in a transaction,
    with the settings of the session, which PgBouncer refuses as start-up parameters.
    """
    more = [f"set_config('{name}', '{value}', true)" for name, value in session_settings.items()]
    in_transaction = tell("true", more if pgbouncer else [])
    on_connection = tell("false", [])

    def tell_it(connection: Connection) -> None:
        options = connection.get_execution_options()
        # Parameters: a text for each tenant would be a prepared statement for each.
        told = {option: str(options.get(option, "")) for option in SETTINGS}
        if options.get("isolation_level") != "AUTOCOMMIT":
            connection.execute(in_transaction, told)
        elif not pgbouncer:
            # Removed first: if the statement fails, the connection must not count as told.
            if connection.info.pop("told", None) != told:
                connection.execute(on_connection, told)
            connection.info["told"] = told

    return tell_it


def tell(is_local: str, more: list[str]) -> TextClause:
    settings = [f"set_config('{name}', :{option}, {is_local})" for option, name in SETTINGS.items()]
    return text(f"SELECT {', '.join([*settings, *more])}")
