from decimal import Decimal

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.models import Base, PrimaryKey, Timestamps
from app.users.models import User


class Credit(Timestamps, Base):
    __tablename__ = "credits"

    id: Mapped[PrimaryKey]
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), index=True)
    amount: Mapped[Decimal]
