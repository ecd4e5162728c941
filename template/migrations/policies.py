"""Row-level security of tables with a tenant, which Alembic itself does not compare."""

from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy import Connection, MetaData, text

KEPT_APART = text("""
    SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid
    WHERE relnamespace = current_schema()::regnamespace AND polname = 'tenant'
    AND relrowsecurity AND relforcerowsecurity
""")


class KeepApart(ops.MigrateOperation):
    """Show the rows of a table to nobody but their tenant."""

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name

    def reverse(self) -> ops.MigrateOperation:
        return ShowAll(self.table_name)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return ("add_policy", self.table_name)


class ShowAll(KeepApart):
    """Show the rows of a table to everybody."""


def keep_tenants_apart(connection: Connection, metadata: MetaData, upgrade: ops.UpgradeOps) -> None:
    """Add what tables with a tenant lack, after all that creates tables."""
    kept_apart = set(connection.scalars(KEPT_APART))
    for table in metadata.sorted_tables:
        if "tenant_id" in table.c and table.name not in kept_apart:
            upgrade.ops.append(KeepApart(table.name))


@renderers.dispatch_for(KeepApart)
def render_keep_apart(context: AutogenContext, operation: KeepApart) -> list[str]:
    table = quoted(context, operation)
    return [
        "op.execute(",
        f"    {f'CREATE POLICY tenant ON {table} USING (tenant_id ='!r}",
        "    \" (SELECT nullif(current_setting('app.tenant_id', true), '')::bigint))\"",
        ")",
        executing(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
        executing(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"),
    ]


@renderers.dispatch_for(ShowAll)
def render_show_all(context: AutogenContext, operation: ShowAll) -> list[str]:
    table = quoted(context, operation)
    return [
        executing(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"),
        executing(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"),
        executing(f"DROP POLICY tenant ON {table}"),
    ]


def quoted(context: AutogenContext, operation: KeepApart) -> str:
    """Return the name of the table in SQL: a table may be called order."""
    return str(context.dialect.identifier_preparer.quote(operation.table_name))


def executing(statement: str) -> str:
    return f"op.execute({statement!r})"
