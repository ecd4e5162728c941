from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models import NOT_DELETED, Base, BigInt, PrimaryKey, SoftDelete, Timestamps
from app.users.models import User


class Item(SoftDelete, Timestamps, Base):
    __tablename__ = "items"

    id: Mapped[PrimaryKey]
    owner_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    name: Mapped[str] = mapped_column(String(200))
    sku: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str | None] = mapped_column(String(1000))
    price: Mapped[Decimal]
    # Wider than the API's limit, because cancelled orders can push stock above it.
    stock: Mapped[int] = mapped_column(BigInteger)
    # Optimistic lock: SQLAlchemy increments it and refuses a stale write. `mapped_column()` makes
    # it a name that `__mapper_args__` can refer to.
    version: Mapped[int] = mapped_column(BigInt)

    owner: Mapped[User] = relationship(lazy="raise")

    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (
        CheckConstraint("price >= 0", "price_is_not_negative"),
        CheckConstraint("stock >= 0", "stock_is_not_negative"),
        Index(None, "owner_id", "sku", unique=True, **NOT_DELETED),
        # One index per sort order, plus one for an owner's items.
        Index(None, "created_at", "id", **NOT_DELETED),
        Index(None, "price", "id", **NOT_DELETED),
        Index(None, "owner_id", "created_at", "id", **NOT_DELETED),
    )
