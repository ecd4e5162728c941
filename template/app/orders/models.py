from decimal import Decimal
from enum import StrEnum

from sqlalchemy import CheckConstraint, Enum, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.items.models import Item
from app.models import Base, PrimaryKey, Timestamps
from app.users.models import User


class OrderStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"

    def may_become(self, status: "OrderStatus") -> bool:
        return status in NEXT[self]


NEXT = {
    OrderStatus.PENDING: {OrderStatus.PROCESSING, OrderStatus.CANCELLED},
    OrderStatus.PROCESSING: {OrderStatus.SHIPPED, OrderStatus.CANCELLED},
    OrderStatus.SHIPPED: {OrderStatus.DELIVERED},
    OrderStatus.DELIVERED: set[OrderStatus](),
    OrderStatus.CANCELLED: set[OrderStatus](),
}


class Order(Timestamps, Base):
    __tablename__ = "orders"

    id: Mapped[PrimaryKey]
    buyer_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    # A CHECK constraint instead of a native enum: adding a status only replaces the constraint.
    status: Mapped[OrderStatus] = mapped_column(
        Enum(
            OrderStatus,
            name="status",
            native_enum=False,
            create_constraint=True,
            values_callable=lambda statuses: [status.value for status in statuses],
        ),
        default=OrderStatus.PENDING,
    )

    lines: Mapped[list["OrderLine"]] = relationship(lazy="raise", order_by="OrderLine.item_id")

    __table_args__ = (Index(None, "buyer_id", "created_at", "id"),)

    @property
    def total(self) -> Decimal:
        return sum((line.unit_price * line.quantity for line in self.lines), Decimal(0))


class OrderLine(Base):
    """A quantity of one item at its price when ordered."""

    __tablename__ = "order_lines"
    __table_args__ = (CheckConstraint("quantity >= 1", "quantity_is_positive"),)

    order_id: Mapped[int] = mapped_column(ForeignKey(Order.id), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id), primary_key=True, index=True)
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]
