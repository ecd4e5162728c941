"""The tables and schemas of the plain application, in the way of the tutorials."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, DateTime, Dialect, ForeignKey, Integer, Numeric
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

API = "/api/v1"


class Cents(TypeDecorator[Decimal]):
    """How the tables on SQLite hold money."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, _dialect: Dialect) -> int | None:
        return None if value is None else int(value.scaleb(2))

    def process_result_value(self, value: int | None, _dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)


class Base(DeclarativeBase):
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        Decimal: Numeric(12, 2).with_variant(Cents(), "sqlite"),
        int: BigInteger().with_variant(Integer(), "sqlite"),
    }


def utcnow() -> datetime:
    return datetime.now(UTC)


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str]
    is_active: Mapped[bool] = mapped_column(default=True)
    is_admin: Mapped[bool] = mapped_column(default=False)
    token_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    sku: Mapped[str | None]
    description: Mapped[str | None]
    price: Mapped[Decimal]
    stock: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)

    owner: Mapped[User] = relationship()


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    buyer_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    status: Mapped[str] = mapped_column(default="pending")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)

    lines: Mapped[list["OrderLine"]] = relationship()

    @property
    def total(self) -> Decimal:
        return sum((line.unit_price * line.quantity for line in self.lines), Decimal(0))


class OrderLine(Base):
    __tablename__ = "order_lines"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]


class ItemCreate(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    sku: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    description: Annotated[str | None, Field(max_length=1000)] = None
    price: Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=2)]
    stock: Annotated[int, Field(ge=0)] = 0


class ItemUpdate(BaseModel):
    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    sku: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    description: Annotated[str | None, Field(max_length=1000)] = None
    price: Annotated[Decimal | None, Field(ge=0, max_digits=10, decimal_places=2)] = None
    stock: Annotated[int | None, Field(ge=0)] = None


class ItemRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    sku: str | None
    description: str | None
    price: Decimal
    stock: int
    owner_id: int
    created_at: datetime
    updated_at: datetime


class OwnerRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str


class ItemDetail(ItemRead):
    owner: OwnerRead


class ItemPage(BaseModel):
    items: list[ItemRead]
    next_cursor: str | None


class LineCreate(BaseModel):
    item_id: int
    quantity: Annotated[int, Field(ge=1)]


class OrderCreate(BaseModel):
    lines: Annotated[list[LineCreate], Field(min_length=1)]


class LineRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    item_id: int
    quantity: int
    unit_price: Decimal


class OrderRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    status: str
    lines: list[LineRead]
    total: Decimal
    created_at: datetime
    updated_at: datetime
