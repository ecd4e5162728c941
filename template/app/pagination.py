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

# Importable from here until 2.0.0; they are in app.schemas.
Limit = schemas.Limit
Offset = schemas.Offset
Cursor = schemas.Cursor
Counted = schemas.OffsetResult
Slice = schemas.CursorResult


@dataclass(frozen=True)
class SortOrder:
    """A total order: by one field, then by the id, both in the same direction. For any store.

    The cursor holds the last row's two values, and the next page begins after them. So every page
    costs the same, and rows that come and go make no other row repeat or vanish. It needs an index
    on the same two fields. https://use-the-index-luke.com/no-offset
    """

    name: str  # descending if it begins with "-"
    field: str
    value_type: Any  # of the field's value in a cursor
    id_type: Any = Id
    id_field: str = "id"

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        content: Any = GenericAlias(tuple, (str, self.value_type, self.id_type))
        return TypeAdapter(content)

    @cached_property
    def descending(self) -> bool:
        return self.name.startswith("-")

    def result(self, rows: Sequence[T], limit: int) -> CursorResult[T]:
        """Turn rows, one more than the limit if there are, into a page and the next cursor."""
        more = len(rows) > limit
        return CursorResult(rows[:limit], self.encode(rows[limit - 1]) if more else None)

    def encode(self, row: object) -> str:
        values = (self.name, getattr(row, self.field), getattr(row, self.id_field))
        return urlsafe_b64encode(self.adapter.dump_json(values)).decode().rstrip("=")

    def decode(self, cursor: str) -> tuple[Any, Any]:
        """Return the last row's value and id.

        Raises InvalidError when the cursor is broken, or belongs to another order.
        """
        try:
            packed = json.loads(b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
            name, value, row_id = self.adapter.validate_python(packed)
        except ValueError:
            name = None
        if name != self.name:
            raise InvalidError(["query", "cursor"], "This cursor is broken, or of another order.")
        return value, row_id


@dataclass(frozen=True)
class Keyset:
    """The same order for a statement of SQLAlchemy, whose columns it compares."""

    name: str  # descending if it begins with "-"
    column: InstrumentedAttribute[Any]
    primary_key: InstrumentedAttribute[int]
    value_type: Any  # of the column's value in a cursor

    @cached_property
    def sort_order(self) -> SortOrder:
        key, primary_key = self.column.key, self.primary_key.key
        return SortOrder(self.name, key, self.value_type, id_field=primary_key)

    @cached_property
    def descending(self) -> bool:
        return self.sort_order.descending

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
        return self.sort_order.result(rows, limit)

    slice = result  # until 2.0.0

    def encode(self, row: object) -> str:
        return self.sort_order.encode(row)

    def decode(self, cursor: str) -> tuple[Any, int]:
        return self.sort_order.decode(cursor)
