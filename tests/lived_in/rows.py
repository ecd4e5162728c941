"""The rows that a project has before an update, written and read without its code."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.test_pgbouncer import psql

SCRIPT = Path(__file__).parent / "files" / "rows.sql"
READ = {
    "users": "SELECT * FROM users ORDER BY id",
    "profiles": "SELECT * FROM profiles ORDER BY user_id",
    "items": "SELECT * FROM items ORDER BY id",
    "reviews": "SELECT * FROM reviews ORDER BY id",
    "orders": "SELECT * FROM orders ORDER BY id",
    "order_lines": "SELECT * FROM order_lines ORDER BY order_id, item_id",
}

Rows = Mapping[str, list[dict[str, Any]]]


def insert(database_url: str) -> None:
    script = SCRIPT.read_text("utf-8")
    if is_postgres(database_url):
        psql(database_url, script)
        return
    with closing(connect(database_url)) as connection:
        connection.executescript(script)


def read(database_url: str, tables: Iterable[str]) -> Rows:
    if is_postgres(database_url):
        return {table: [*map(dict, psql(database_url, READ[table]))] for table in tables}
    with closing(connect(database_url)) as connection:
        return {table: [*map(dict, connection.execute(READ[table]))] for table in tables}


def is_postgres(database_url: str) -> bool:
    return database_url.startswith("postgresql:")


def connect(database_url: str) -> sqlite3.Connection:
    connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
    connection.row_factory = sqlite3.Row
    return connection


def with_columns_of(before: Rows, after: Rows) -> Rows:
    """Return the rows without the columns that they did not have before."""
    columns = {table: rows[0].keys() for table, rows in before.items()}
    return {
        table: [{column: row[column] for column in columns[table]} for row in rows]
        for table, rows in after.items()
    }
