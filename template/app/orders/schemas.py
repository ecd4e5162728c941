from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from app.orders.models import OrderStatus
from app.schemas import MAX_INT, Amount, BodyId, Cursor, Digits, Limit, Quantity, Schema


class LineCreate(Schema):
    item_id: BodyId
    quantity: Quantity


class OrderCreate(Schema):
    lines: Annotated[list[LineCreate], Field(min_length=1, max_length=100)]


class OrderUpdate(Schema):
    status: OrderStatus


class LineRead(Schema):
    item_id: int
    quantity: int
    unit_price: Amount


class OrderRead(Schema):
    id: int
    status: OrderStatus
    lines: list[LineRead]
    total: Amount
    created_at: datetime
    updated_at: datetime


class Reason(StrEnum):
    NOT_FOUND = "not_found"
    OUT_OF_STOCK = "out_of_stock"


class Rejection(Schema):
    """A line that could not be served, and why."""

    item_id: int
    reason: Reason


class OrderPlaced(OrderRead):
    rejected: list[Rejection]


class OrderFilters(BaseModel):
    cursor: Cursor | None = None
    limit: Limit = 20


class SummaryFilters(BaseModel):
    min_count: Annotated[int, Field(ge=0, le=MAX_INT), Digits] = 1


class StatusSummary(Schema):
    status: OrderStatus
    count: int
    total: Amount
