"""Keyset pagination: pages that go on after a cursor."""

import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import GenericAlias
from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Select, bindparam, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app import schemas
from app.errors import InvalidError
from app.schemas import CursorResult, Id, Moment, Price

T = TypeVar("T")

# For `Keyset.value_type`. For a column of another type, pass that type, such as `Id` or `Text`.
MOMENT = Moment
PRICE = Price

# Importable from here until 1.0.0; they are in app.schemas.
Limit = schemas.Limit
Offset = schemas.Offset
Cursor = schemas.Cursor
Counted = schemas.OffsetResult
Slice = schemas.CursorResult


@dataclass(frozen=True)
class Keyset:
    """A total order: by one column, then by the primary key, both in the same direction.

    The cursor holds the last row's two values, and the next page begins after them. So every page
    costs the same, and rows that come and go make no other row repeat or vanish. It needs an index
    on the same two columns. https://use-the-index-luke.com/no-offset
    """

    name: str  # descending if it begins with "-"
    column: InstrumentedAttribute[Any]
    primary_key: InstrumentedAttribute[int]
    value_type: Any  # of the column's value in a cursor

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        content: Any = GenericAlias(tuple, (str, self.value_type, Id))
        return TypeAdapter(content)

    @cached_property
    def descending(self) -> bool:
        return self.name.startswith("-")

    # The clauses are built once; the values of the last row are their parameters.

    @cached_property
    def order(self) -> list[ColumnElement[Any]]:
        columns = (self.column, self.primary_key)
        return [column.desc() if self.descending else column.asc() for column in columns]

    @cached_property
    def after(self) -> ColumnElement[bool]:
        row = tuple_(self.column, self.primary_key)
        last = tuple_(
            bindparam("last_value", type_=self.column.type),
            bindparam("last_id", type_=self.primary_key.type),
        )
        return row < last if self.descending else row > last

    def page(self, statement: Select[T], cursor: str | None, limit: int) -> Select[T]:
        """Order the statement and begin after the cursor. Reads one row more than the limit.

        Raises InvalidError when the cursor is broken, or belongs to another order.
        """
        if cursor is not None:
            value, row_id = self.decode(cursor)
            statement = statement.where(self.after).params(last_value=value, last_id=row_id)
        return statement.order_by(*self.order).limit(limit + 1)

    def result(self, rows: Sequence[T], limit: int) -> CursorResult[T]:
        """Turn the rows of `page` into a page and the cursor of the next one."""
        more = len(rows) > limit
        return CursorResult(rows[:limit], self.encode(rows[limit - 1]) if more else None)

    slice = result  # until 1.0.0

    def encode(self, row: object) -> str:
        values = (self.name, getattr(row, self.column.key), getattr(row, self.primary_key.key))
        return urlsafe_b64encode(self.adapter.dump_json(values)).decode().rstrip("=")

    def decode(self, cursor: str) -> tuple[Any, int]:
        try:
            packed = json.loads(b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
            name, value, row_id = self.adapter.validate_python(packed)
        except ValueError:
            name = None
        if name != self.name:
            raise InvalidError(["query", "cursor"], "This cursor is broken, or of another order.")
        return value, row_id
