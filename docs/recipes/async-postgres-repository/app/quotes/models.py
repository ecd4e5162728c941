from decimal import Decimal

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.items.models import Item
from app.models import Base, PrimaryKey, Timestamps


class Quote(Timestamps, Base):
    __tablename__ = "quotes"

    id: Mapped[PrimaryKey]
    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id), index=True)
    currency: Mapped[str] = mapped_column(String(3))
    price: Mapped[Decimal]
