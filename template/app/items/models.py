from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models import Base, PrimaryKey, Timestamps
from app.users.models import User


class Item(Timestamps, Base):
    __tablename__ = "items"

    id: Mapped[PrimaryKey]
    owner_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(String(1000))
    price: Mapped[Decimal]
    # Wider than the API's limit, because cancelled orders can push stock above it.
    stock: Mapped[int] = mapped_column(BigInteger)
    # Optimistic lock: SQLAlchemy increments it and refuses a stale write. `mapped_column()` makes
    # it a name that `__mapper_args__` can refer to.
    version: Mapped[int] = mapped_column()

    owner: Mapped[User] = relationship(lazy="raise")

    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (
        CheckConstraint("price >= 0", "price_is_not_negative"),
        CheckConstraint("stock >= 0", "stock_is_not_negative"),
        # One index per sort order, plus one for an owner's items.
        Index(None, "created_at", "id"),
        Index(None, "price", "id"),
        Index(None, "owner_id", "created_at", "id"),
    )
