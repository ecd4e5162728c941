"""Cursors: what they hold is read back, whatever the store."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.errors import InvalidError
from app.pagination import MOMENT, Keyset, SortOrder
from app.schemas import Text
from app.users.models import User

MIDNIGHT = datetime(2026, 11, 30, tzinfo=UTC)
ORDERS: list[tuple[Keyset | SortOrder, Any]] = [
    (Keyset("created_at", User.created_at, User.id, MOMENT), 7),
    (SortOrder("created_at", "created_at", MOMENT), 7),
    (SortOrder("created_at", "created_at", MOMENT, id_type=Text), "6f1f2b360f4c4b529d3c4f6a"),
]


@pytest.mark.parametrize(("order", "row_id"), ORDERS)
def test_a_cursor_is_read_back(order: Keyset | SortOrder, row_id: Any) -> None:
    cursor = order.encode(SimpleNamespace(created_at=MIDNIGHT, id=row_id))

    assert order.decode(cursor) == (MIDNIGHT, row_id)
    with pytest.raises(InvalidError):
        SortOrder("-created_at", "created_at", MOMENT).decode(cursor)


def test_rows_of_equal_values_are_ordered_by_id() -> None:
    order = Keyset("-created_at", User.created_at, User.id, MOMENT).order

    assert [str(clause) for clause in order] == ["users.created_at DESC", "users.id DESC"]
