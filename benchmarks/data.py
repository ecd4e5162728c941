"""The database that all servers of a comparison share."""

import sqlite3

import httpx

from benchmarks.endpoints import API, FIRST_CREATED_AT, INTERVAL, created_at
from benchmarks.servers import settings
from hooks.databases import Databases
from hooks.service import Service
from hooks.variants import Variant

SELLER = {"email": "seller@example.com", "password": "correct horse battery staple"}

FILL_POSTGRES = """
    INSERT INTO items
        (owner_id, name, description, price, stock, version, created_at, updated_at)
    SELECT :owner::bigint, 'Item ' || n, 'A thing for sale', 12.50, 1000000000, 1, at, at
    FROM generate_series(1, :rows) AS n,
         LATERAL (SELECT timestamptz :'first' + n * interval :'interval' AS at)
    ORDER BY n;
    VACUUM ANALYZE;
"""
FILL_SQLITE = """
    INSERT INTO items
        (id, owner_id, name, description, price, stock, version, created_at, updated_at)
    VALUES (?1, ?2, 'Item ' || ?1, 'A thing for sale', 1250, 1000000000, 1, ?3, ?3)
"""


def new_database(databases: Databases, service: Service, variant: Variant) -> str:
    """Create and migrate a database, and return its URL."""
    database_url = databases.new(variant)
    service.run("run", "alembic", "upgrade", "heads", settings=settings(database_url))
    if variant.answers["database"] == "postgres":
        # Measure the service rather than the disk.
        databases.psql(database_url, "ALTER SYSTEM SET synchronous_commit = off")
        databases.psql(database_url, "SELECT pg_reload_conf()")
    return database_url


def log_in(base_url: str) -> tuple[int, str]:
    """Register the seller of all items; return the user's id and an access token."""
    with httpx.Client(base_url=base_url + API, trust_env=False) as client:
        user = client.post("/users", json={"name": "Seller", **SELLER}).raise_for_status().json()
        form = {"username": SELLER["email"], "password": SELLER["password"]}
        token = client.post("/auth/token", data=form).raise_for_status().json()["access_token"]
    return user["id"], token


def fill(databases: Databases, database_url: str, owner_id: int, rows: int) -> None:
    """Insert items 1 to `rows`, created at the times that `created_at` returns."""
    if database_url.startswith("sqlite"):
        fill_sqlite(database_url.removeprefix("sqlite:///"), owner_id, rows)
        return
    variables = {
        "owner": owner_id,
        "rows": rows,
        "first": FIRST_CREATED_AT.isoformat(),
        "interval": f"{INTERVAL.total_seconds():f} s",
    }
    script = "".join(f"\\set {name} '{value}'\n" for name, value in variables.items())
    databases.psql(database_url, script + FILL_POSTGRES)


def fill_sqlite(file: str, owner_id: int, rows: int) -> None:
    with sqlite3.connect(file) as connection:
        items = ((item_id, owner_id, sqlite_moment(item_id)) for item_id in range(1, rows + 1))
        connection.executemany(FILL_SQLITE, items)
    connection.execute("ANALYZE")
    connection.close()


def sqlite_moment(item_id: int) -> str:
    return created_at(item_id).replace(tzinfo=None).isoformat(" ", "microseconds")
