from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.schemas import (
    OMITTED,
    Amount,
    BodyId,
    Cursor,
    Id,
    Limit,
    PatchSchema,
    Price,
    Schema,
    Stock,
    Text,
)

Name = Annotated[Text, Field(min_length=1, max_length=200)]
Sku = Annotated[Text, Field(min_length=1, max_length=64)]
Description = Annotated[Text, Field(max_length=1000)]
Sort = Literal["created_at", "-created_at", "price", "-price"]


class ItemCreate(Schema):
    name: Name
    sku: Sku | None = None
    description: Description | None = None
    price: Price
    stock: Stock = 0


class ItemUpdate(PatchSchema):
    name: Name = OMITTED
    sku: Sku | None = None
    description: Description | None = None
    price: Price = OMITTED
    stock: Stock = OMITTED


class ItemRead(Schema):
    id: int
    name: str
    sku: str | None
    description: str | None
    price: Amount
    stock: int
    owner_id: int
    created_at: datetime
    updated_at: datetime


class Owner(Schema):
    id: int
    name: str


class ItemDetail(ItemRead):
    owner: Owner


class ItemImport(Schema):
    items: Annotated[list[ItemCreate], Field(min_length=1, max_length=100)]


class ImportedItem(Schema):
    """The id of a new item, and where the import has it, counted from 0."""

    index: int
    id: int


class RejectedItem(Schema):
    """An item that was not stored, and why: one of its owner's has the same sku."""

    index: int
    sku: str | None
    reason: Literal["exists"]


class ItemsImported(Schema):
    created: list[ImportedItem]
    rejected: list[RejectedItem]


class ItemFilters(BaseModel):
    q: Annotated[Text | None, Field(max_length=200, description="Part of name or description")] = (
        None
    )
    owner_id: Id | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    sort: Sort = "-created_at"
    cursor: Cursor | None = None
    limit: Limit = 20


class Transfer(Schema):
    to_user_id: BodyId
