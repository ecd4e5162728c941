"""Every table, key, index, policy and view keeps tenants apart; exceptions are listed by name."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from app import resource_modules
from app.models import Base
from app.new import may_be_referred_to
from tests.database import execute

# Tables without rows of a tenant: what all have in common, and what is known before the tenant is.
SHARED = {"alembic_version", "failed_logins", "tenants"}
# Unique among all tenants: who logs in names none.
OVER_ALL = {"uq_users_email"}
# Besides the policy "tenant" of each table.
POLICIES = {("tenants", "jobs"), ("users", "log_in")}

TABLES = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')
AND relnamespace = 'public'::regnamespace
"""
COLUMNS = """
SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE attname = 'tenant_id' AND attnotnull AND relnamespace = 'public'::regnamespace
AND relkind IN ('r', 'p')
"""
KEYS = """
SELECT conname, conrelid::regclass::text, confrelid::regclass::text, ARRAY(
    SELECT referring.attname || '=' || referred.attname FROM unnest(conkey, confkey) AS pair (a, b)
    JOIN pg_attribute AS referring ON referring.attrelid = conrelid AND referring.attnum = a
    JOIN pg_attribute AS referred ON referred.attrelid = confrelid AND referred.attnum = b
)
FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace
"""
INDEXES = """
SELECT indexrelid::regclass::text, indrelid::regclass::text, attname
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
WHERE relnamespace = 'public'::regnamespace AND NOT indisprimary
"""
SECURITY = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
AND relrowsecurity AND relforcerowsecurity
"""
QUALS = """
SELECT tablename, policyname, cmd, permissive, qual, with_check FROM pg_policies
WHERE schemaname = 'public'
"""
VIEWS = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND (
    relkind = 'm'
    OR relkind = 'v' AND 'security_invoker=true' <> ALL (coalesce(reloptions, '{}'))
)
"""
DEFINERS = """
SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
"""


def first(rows: Sequence[Any]) -> set[str]:
    return {row[0] for row in rows}


def test_each_table_has_a_tenant(database_url: str) -> None:
    assert first(execute(database_url, TABLES)) - first(execute(database_url, COLUMNS)) == SHARED


def test_each_model_has_a_tenant() -> None:
    resource_modules("models")
    without = {name for name, table in Base.metadata.tables.items() if "tenant_id" not in table.c}
    assert {name for name in without if not name.startswith("test_")} <= SHARED


def test_each_foreign_key_names_the_tenant(database_url: str) -> None:
    assert [
        (name, table, other)
        for name, table, other, pairs in execute(database_url, KEYS)
        if {table, other}.isdisjoint(SHARED) and "tenant_id=tenant_id" not in pairs
    ] == []


def test_a_reference_is_to_a_table_whose_keys_name_the_tenant() -> None:
    resource_modules("models")
    for name in ("items", "orders", "users"):
        assert may_be_referred_to(Base.metadata.tables[name])
    assert not may_be_referred_to(Table("own", MetaData(), Column("id", Integer, primary_key=True)))


def test_each_index_begins_with_the_tenant(database_url: str) -> None:
    assert {
        name
        for name, table, column in execute(database_url, INDEXES)
        if table not in SHARED and column != "tenant_id"
    } == OVER_ALL


def test_row_level_security_is_forced(database_url: str) -> None:
    secured = first(execute(database_url, SECURITY))
    assert first(execute(database_url, TABLES)) - secured == SHARED - {"tenants"}


def test_each_table_has_the_policy(database_url: str) -> None:
    rows = execute(database_url, QUALS)
    column = {"tenants": "id"}
    compares = {
        table
        for table, name, command, kind, qual, check in rows
        if (name, command, kind, check) == ("tenant", "ALL", "PERMISSIVE", None)
        and qual.startswith(f"({column.get(table, 'tenant_id')} = ")
        and "current_setting('app.tenant_id'" in qual
    }

    assert first(execute(database_url, TABLES)) - compares == SHARED - {"tenants"}
    # One more shows more rows.
    assert {(row[0], row[1]) for row in rows if row[1] != "tenant"} == POLICIES
    assert {row.cmd for row in rows if row.policyname != "tenant"} == {"SELECT"}


@pytest.mark.parametrize("statement", [VIEWS, DEFINERS], ids=["views", "functions"])
def test_nothing_reads_as_its_owner(database_url: str, statement: str) -> None:
    assert execute(database_url, statement) == []
