"""Which migrations the code has, read without Alembic, which takes longer to import."""

import ast
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import text

APPLIED = text("SELECT version_num FROM alembic_version")
VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"


def is_migrated(applied: AbstractSet[str]) -> bool:
    """Whether a database with these revisions has all migrations of the code.

    A revision that the code does not know belongs to a newer release, which is being rolled out.
    Where the migrations are not installed, none can be missing.
    """
    known, heads = read(VERSIONS)
    return heads <= applied or not applied <= known


@cache
def read(folder: Path) -> tuple[AbstractSet[str], AbstractSet[str]]:
    """Return all revisions, and the heads among them."""
    known: set[str] = set()
    followed: set[str] = set()
    for file in folder.glob("*.py"):
        values = assigned(ast.parse(file.read_bytes()))
        if "revision" in values:
            known.add(values["revision"])
            before = values.get("down_revision") or ()
            followed.update([before] if isinstance(before, str) else before)
    return known, known - followed


def assigned(module: ast.Module) -> dict[str, Any]:
    """Return what a migration assigns to `revision` and `down_revision`."""
    values = {}
    for node in module.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if name in {"revision", "down_revision"}:
                values[name] = ast.literal_eval(value)
    return values
