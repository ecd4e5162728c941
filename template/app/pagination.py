"""Two ways to read a long list: page by number, or go on behind a cursor."""

import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter
from sqlalchemy import ColumnElement, Select, bindparam, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from app.errors import InvalidError
from app.schemas import Id, Price, Text

T = TypeVar("T")

Limit = Annotated[int, Field(ge=1, le=100)]
Offset = Annotated[int, Field(ge=0, le=2**31 - 1)]
Cursor = Annotated[Text, Field(max_length=200, description="`next_cursor` of the page before")]


@dataclass(frozen=True)
class Counted(Generic[T]):
    """One page by number, of `total` rows."""

    items: Sequence[T]
    total: int
    limit: int
    offset: int


@dataclass(frozen=True)
class Slice(Generic[T]):
    """One page by cursor."""

    items: Sequence[T]
    next_cursor: str | None


def in_utc(value: datetime) -> datetime:
    """Refuse the first and last hours of the calendar, which not every zone can express."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


# What a cursor may hold, by the type of the column.
MOMENT: TypeAdapter[Any] = TypeAdapter(
    tuple[str, Annotated[AwareDatetime, AfterValidator(in_utc)], Id]
)
PRICE: TypeAdapter[Any] = TypeAdapter(tuple[str, Price, Id])


@dataclass(frozen=True)
class Keyset:
    """A total order: by one column, then by the primary key, both in the same direction.

    A page begins behind the last row of the page before, found by its values. So it costs the
    same wherever it is, and nothing is skipped or repeated when rows come and go. The index
    that serves it has the same two columns. https://use-the-index-luke.com/no-offset
    """

    name: str
    column: InstrumentedAttribute[Any]
    id: InstrumentedAttribute[int]
    values: TypeAdapter[Any]

    @property
    def descending(self) -> bool:
        return self.name.startswith("-")

    # Built once for all requests; the values of the last row are parameters.

    @cached_property
    def order(self) -> list[ColumnElement[Any]]:
        columns = (self.column, self.id)
        return [column.desc() if self.descending else column.asc() for column in columns]

    @cached_property
    def behind(self) -> ColumnElement[bool]:
        row = tuple_(self.column, self.id)
        last = tuple_(
            bindparam("last_value", type_=self.column.type),
            bindparam("last_id", type_=self.id.type),
        )
        return row < last if self.descending else row > last

    def page(self, statement: Select[T], cursor: str | None, limit: int) -> Select[T]:
        """Order the statement, and let it begin behind the cursor. Reads one row more than asked.

        Raises InvalidError when the cursor is broken, or belongs to another order.
        """
        if cursor is not None:
            value, row_id = self.decode(cursor)
            statement = statement.where(self.behind).params(last_value=value, last_id=row_id)
        return statement.order_by(*self.order).limit(limit + 1)

    def slice(self, rows: Sequence[T], limit: int) -> Slice[T]:
        """Turn what `page` has read into a page and the cursor of the next one."""
        more = len(rows) > limit
        return Slice(rows[:limit], self.encode(rows[limit - 1]) if more else None)

    def encode(self, row: object) -> str:
        values = (self.name, getattr(row, self.column.key), getattr(row, self.id.key))
        return urlsafe_b64encode(self.values.dump_json(values)).decode().rstrip("=")

    def decode(self, cursor: str) -> tuple[Any, int]:
        try:
            packed = json.loads(b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
            name, value, row_id = self.values.validate_python(packed)
        except ValueError:
            name = None
        if name != self.name:
            raise InvalidError(["query", "cursor"], "This cursor is broken, or of another order.")
        return value, row_id
