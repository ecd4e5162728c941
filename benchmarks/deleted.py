"""What a page of 20 items costs when the newest 90 % of the items are deleted.

    uv run python -m benchmarks.deleted [ROWS]

The indexes of the service, without deleted rows, are compared with indexes of all rows. Counts the
buffers that Postgres reads, and the steps that SQLite's virtual machine takes: neither depends on
the speed of the machine.
"""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.data import fill, new_database
from benchmarks.servers import install
from hooks.databases import PSQL, Databases
from hooks.variants import ROOT, Variant, variants

ROWS = 300_000

PAGE = "SELECT * FROM items WHERE deleted_at IS NULL {more} ORDER BY {order} LIMIT 21"
PAGES = {
    "created_at": PAGE.format(more="", order="created_at, id"),
    "-created_at": PAGE.format(more="", order="created_at DESC, id DESC"),
    "price": PAGE.format(more="", order="price, id"),
    "-price": PAGE.format(more="", order="price DESC, id DESC"),
    "one owner's": PAGE.format(more="AND owner_id = 1", order="created_at DESC, id DESC"),
}
SELLER = """
    INSERT INTO users (email, name, password_hash, token_version, created_at, updated_at)
    VALUES ('a@example.com', 'A', '', 1, '2026-01-01 00:00:00.0', '2026-01-01 00:00:00.0');
"""
DELETE = "UPDATE items SET deleted_at = updated_at WHERE id > {living};"
TIDY = "VACUUM; ANALYZE;"
OF_ALL_ROWS = """
    DROP INDEX ix_items_created_at_id;
    DROP INDEX ix_items_price_id;
    DROP INDEX ix_items_owner_id_created_at_id;
    CREATE INDEX ix_items_created_at_id ON items (created_at, id);
    CREATE INDEX ix_items_price_id ON items (price, id);
    CREATE INDEX ix_items_owner_id_created_at_id ON items (owner_id, created_at, id);
"""


def main(rows: int) -> None:
    with TemporaryDirectory(prefix="deleted-") as folder, Databases() as databases:
        for database in ("postgres", "sqlite"):
            variant = next(each for each in variants() if each.answers["database"] == database)
            costs = measure(databases, variant, Path(folder, database), rows)
            unit = "buffers" if database == "postgres" else "steps"
            print(f"\n{database}, {rows:,} items: {unit} for a page of 20")
            print(f"{'':30}" + "".join(f"{page:>14}" for page in PAGES))
            for case, taken in costs.items():
                print(f"{case:30}" + "".join(f"{cost:>14,}" for cost in taken.values()))


def measure(
    databases: Databases, variant: Variant, folder: Path, rows: int
) -> dict[str, dict[str, int]]:
    """Return what each page costs in each case."""
    url = new_database(databases, install(variant, folder, ROOT), variant)
    cost = buffers if url.startswith("postgres") else steps
    costs = {}

    def take(case: str, *scripts: str) -> None:
        for script in scripts:
            run(databases, url, script)
        costs[case] = {name: cost(url, page) for name, page in PAGES.items()}

    run(databases, url, SELLER)
    fill(databases, url, 1, rows)
    take("none deleted")
    take("newest 90 % deleted", DELETE.format(living=rows // 10), TIDY)
    take("the same, indexes of all rows", OF_ALL_ROWS, TIDY)
    return costs


def run(databases: Databases, url: str, script: str) -> None:
    if url.startswith("postgres"):
        databases.psql(url, script)
        return
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.executescript(script)
    connection.close()


def buffers(url: str, page: str) -> int:
    """Return the buffers that Postgres reads for a statement, without those to plan it."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {page}"
    command = [PSQL, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", url]
    done = subprocess.run(command, input=explain, check=True, capture_output=True, text=True)
    [explained] = json.loads(done.stdout)
    plan = explained["Plan"]
    total: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return total


def steps(url: str, page: str) -> int:
    """Return the instructions that SQLite's virtual machine executes for a statement."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1

    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.set_progress_handler(count, 1)
    connection.execute(page).fetchall()
    connection.close()
    return taken


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
